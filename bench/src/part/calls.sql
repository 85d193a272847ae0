-- Calls as merchants send them: of a thousand 940 are credited, 30 are duplicates of an earlier one, 15 are rejected, 2 are
-- pending and 13 are refused. What differs from call to call in reality does so here, in the body as well. The first of
-- 1,000 businesses has a twentieth of all calls, the others share the rest. {all} calls fill the last sixty days.
INSERT INTO call_records
(
    call_id, received_at, recorded_at, business_id, api_key_id, http_status, conversion_status, success, failure_stage, reason,
    error, event_name, event_time, cnct_tracking_id, sendout_id, ctwa_clid, ad_id, currency, value, order_id, content_type,
    content_ids, num_items, `contents.id`, `contents.quantity`, `contents.item_price`, events_received,
    forward_reference_id, meta_http_status, lane, forward_attempts, forward_ms, total_ms, body, version, release
)
WITH
    cityHash64(number, 'fate') % 1000 AS fate,
    multiIf(fate < 940, 'forwarded', fate < 970, 'duplicate', fate < 985, 'rejected', fate < 987, 'pending', 'refused') AS status,
    if(status = 'duplicate' AND number > 1000, number - 1000, number) AS sale,
    if(cityHash64(sale, 'large') % 20 = 0, 0, 1 + cityHash64(sale, 'business') % 999) AS shop,
    toDateTime64(toStartOfHour(now()), 3, 'UTC') - INTERVAL 60 DAY + toIntervalMillisecond(intDiv(number * 5184000000, {all})) AS at,
    lower(hex(toUInt64(toUnixTimestamp64Milli(at)))) AS stamp,
    lower(hex(cityHash64(number, 'id'))) AS noise,
    if(cityHash64(sale, 'event') % 10 < 3, 'ViewContent', 'Purchase') AS event,
    concat('ARAk', replaceAll(base64Encode(randomString(54)), '/', '_')) AS click,
    concat('1202100', leftPad(toString(shop * 40 + cityHash64(sale, 'ad') % 40), 11, '0')) AS ad,
    concat('sendout-', toString(shop), '-', toString(cityHash64(sale, 'sendout') % 20)) AS sendout,
    toString(generateUUIDv4(number)) AS tracking,
    toDecimal64(100 + cityHash64(sale, 'value') % 20000, 2) / 100 AS price,
    if(event = 'Purchase', concat('ORD-', toString(sale)), '') AS order_of_sale,
    concat('sku-', toString(cityHash64(sale, 'one') % 500)) AS one,
    concat('sku-', toString(cityHash64(sale, 'two') % 500)) AS two,
    toUnixTimestamp(at) - 30 AS occurred
SELECT
    toUUID(concat(
        substring(stamp, 1, 8), '-', substring(stamp, 9, 4), '-7', substring(leftPad(noise, 16, '0'), 1, 3),
        '-8', substring(leftPad(noise, 16, '0'), 4, 3), '-', substring(leftPad(noise, 16, '0'), 5, 12))),
    at,
    at + toIntervalMillisecond(700),
    concat('6f1c1b1e-0d6c-4b7e-9a44-', leftPad(toString(shop), 12, '0')),
    concat('key-', toString(shop)),
    multiIf(status = 'pending', 202, status IN ('rejected', 'refused'), 400, 200),
    status,
    status IN ('forwarded', 'duplicate'),
    multiIf(status = 'rejected', 'meta_forward', status = 'refused', 'payload_mapping', ''),
    multiIf(status = 'rejected', 'META_REJECTED', status = 'refused', 'INVALID_FIELDS', ''),
    multiIf(status = 'rejected', 'The ctwa_clid is invalid', status = 'refused', 'currency: unknown', ''),
    event,
    toDateTime(occurred, 'UTC'),
    tracking,
    sendout,
    click,
    ad,
    'USD',
    price,
    order_of_sale,
    'product',
    [one, two],
    2,
    [one, two],
    [1, 1],
    [price / 2, price / 2],
    if(status = 'forwarded', 1, NULL),
    if(status = 'refused', '', base64Encode(randomString(17))),
    if(status = 'refused', NULL, 200),
    if(status = 'refused', '', 'live'),
    if(status = 'forwarded', 1, 0),
    if(status = 'forwarded', 150 + cityHash64(number, 'ms') % 100, NULL),
    160 + cityHash64(number, 'ms') % 100,
    concat(
        '{"cnct_tracking_id":"', tracking, '","event_name":"', event, '","sendout_id":"', sendout,
        '","attribution":{"meta_ctwa":{"ctwa_clid":"', click, '","ad_id":"', ad,
        '"}},"payload":{"currency":"USD","value":', toString(price), ',"order_id":"', order_of_sale,
        '","content_type":"product","content_ids":["', one, '","', two, '"],"num_items":2,"contents":[{"id":"', one,
        '","quantity":1,"item_price":', toString(price / 2), '},{"id":"', two, '","quantity":1,"item_price":',
        toString(price / 2), '}],"event_time":', toString(occurred), '}}'),
    if(status = 'pending', 0, bitShiftLeft(toUInt64(1), 63) + number),
    '0.1.0'
FROM numbers({from}, {calls})
