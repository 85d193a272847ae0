SELECT
    business_id, sendout_id, currency, day,
    count() AS orders,
    sum(value) AS revenue,
    sumIf(value, conversion_status = 'forwarded') AS credited_revenue
FROM conversions
WHERE event_name = 'Purchase'
GROUP BY business_id, sendout_id, currency, day
