SELECT
    business_id, ad_id, day,
    countIf(event_name = 'ViewContent') AS views,
    countIf(event_name = 'Purchase') AS purchases,
    if(views = 0, NULL, purchases / views) AS rate
FROM conversions
GROUP BY business_id, ad_id, day
