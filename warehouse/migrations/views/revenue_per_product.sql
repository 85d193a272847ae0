-- An order may name a product on several lines: it counts once for that product, its lines all do.
SELECT
    business_id, product_id, currency, day,
    countIf(line = 1) AS orders,
    sum(toInt64(ifNull(quantity, 1))) AS units,
    sum(ifNull(item_price, 0) * ifNull(quantity, 1)) AS revenue
FROM conversions
ARRAY JOIN
    product_ids AS product_id,
    arrayEnumerateUniq(product_ids) AS line,
    quantities AS quantity,
    item_prices AS item_price
WHERE event_name = 'Purchase'
GROUP BY business_id, product_id, currency, day
