SELECT
    call_id, received_at, recorded_at, business_id, api_key_id,
    http_status, conversion_status, success, failure_stage, reason, error,
    event_name, event_time, cnct_tracking_id, sendout_id, ctwa_clid, ad_id,
    currency, value, order_id, content_type, content_ids, num_items,
    `contents.id`, `contents.quantity`, `contents.item_price`,
    events_received, forward_reference_id, meta_http_status, meta_code, meta_error_subcode, meta_error, duplicate_of,
    lane, forward_attempts, possibly_duplicate, forward_ms, total_ms, body
FROM call_records FINAL
