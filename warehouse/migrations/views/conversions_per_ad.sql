SELECT
    business_id, ad_id, event_name, day,
    count() AS conversions,
    toUInt64(sum(events_received)) AS events_received,
    countIf(conversion_status = 'rejected') AS rejected,
    countIf(conversion_status = 'pending') AS pending
FROM conversions
GROUP BY business_id, ad_id, event_name, day
