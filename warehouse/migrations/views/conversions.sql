-- One row per conversion: what the five views beside this one count. A conversion is an order within one deduplication
-- window; the call that represents it lends its columns.
--
-- A credited call is the only one of its order within its window, so it is a conversion as it stands, and so is a call
-- without an order id. Only the others, a small part, are grouped by order, with the credited calls of just those orders:
--   * a call whose credited call is here is not counted: the one a duplicate names, or one less than a window away;
--   * of the rest, the first opens a window, the last within it represents it, and the next one opens another.
SELECT
    business_id, event_name, order_id, call_id, day, conversion_status, ifNull(events_received, 0) AS events_received,
    ad_id, sendout_id, currency, ifNull(value, 0) AS value,
    `contents.id` AS product_ids, `contents.quantity` AS quantities, `contents.item_price` AS item_prices
FROM call_records FINAL
WHERE conversion_status = 'forwarded' OR (order_id = '' AND conversion_status IN ('duplicate', 'pending', 'rejected'))
UNION ALL
SELECT
    business_id, event_name, order_id, call_ids[at], days[at], statuses[at], 0,
    ad_ids[at], sendout_ids[at], currencies[at], amounts[at],
    products[at], quantities_[at], prices[at]
FROM
(
    SELECT
        business_id, event_name, order_id,
        groupArray(call_id) AS call_ids,
        groupArray(toUnixTimestamp64Milli(received_at)) AS times,
        groupArray(conversion_status) AS statuses,
        groupArray(ifNull(duplicate_of, toUUID('00000000-0000-0000-0000-000000000000'))) AS named,
        groupArray(day) AS days,
        groupArray(ad_id) AS ad_ids,
        groupArray(sendout_id) AS sendout_ids,
        groupArray(currency) AS currencies,
        groupArray(ifNull(value, 0)) AS amounts,
        groupArray(`contents.id`) AS products,
        groupArray(`contents.quantity`) AS quantities_,
        groupArray(`contents.item_price`) AS prices,
        arrayFilter((_, status) -> status = 'forwarded', arrayEnumerate(statuses), statuses) AS credited,
        arrayFilter(
            (call, status) -> status != 'forwarded' AND NOT arrayExists(
                by -> call_ids[by] = named[call] OR abs(times[by] - times[call]) < {window_ms}, credited),
            arrayEnumerate(statuses), statuses) AS uncredited,
        arrayFold(
            (windows, call) -> if(
                times[call] < windows.1,
                (windows.1, arrayPushBack(arrayPopBack(windows.2), call)),
                (times[call] + {window_ms}, arrayPushBack(windows.2, call))),
            arraySort(call -> (times[call], call_ids[call]), uncredited),
            (toInt64(0), emptyArrayUInt32())).2 AS representatives
    FROM
    (
        SELECT *, day FROM call_records FINAL
        WHERE order_id != '' AND conversion_status IN ('duplicate', 'pending', 'rejected')
        UNION ALL
        SELECT credited.* FROM
            (SELECT *, day FROM call_records FINAL WHERE order_id != '' AND conversion_status = 'forwarded') AS credited
            LEFT SEMI JOIN
            (
                SELECT business_id, event_name, order_id FROM call_records FINAL
                WHERE order_id != '' AND conversion_status IN ('duplicate', 'pending', 'rejected')
            ) AS other
            USING (business_id, event_name, order_id)
    )
    GROUP BY business_id, event_name, order_id
)
ARRAY JOIN representatives AS at
