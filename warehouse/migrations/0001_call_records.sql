-- One row for each thing that was learned about a call; a reader keeps the one with the highest version
-- (rule 11 of the ledger). People read the view `calls`.
--
-- Every row of a call carries the same business, event time, receive time and id, so they share sorting and partition
-- key and are one row to a reader however often they were written. `received_at` stands in the sorting key because it
-- is what partitions are cut by: only then does ClickHouse prune partitions under FINAL, and merge none with another.
--
-- `day` is what the views are asked by. Merges cost more than they give once parts are this large, and old months
-- settle: the settings at the end make ClickHouse merge an idle partition down to one part, which FINAL reads as is.
CREATE TABLE IF NOT EXISTS call_records
(
    `call_id` UUID,
    `received_at` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `recorded_at` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `business_id` String CODEC(ZSTD(1)),
    `api_key_id` LowCardinality(String),
    `http_status` Int32 CODEC(ZSTD(1)),
    `conversion_status` LowCardinality(String),
    `success` Bool CODEC(ZSTD(1)),
    `failure_stage` LowCardinality(String),
    `reason` LowCardinality(String),
    `error` String CODEC(ZSTD(1)),
    `event_name` LowCardinality(String),
    `event_time` Nullable(DateTime('UTC')) CODEC(Delta, ZSTD(1)),
    `cnct_tracking_id` String CODEC(ZSTD(1)),
    `sendout_id` String CODEC(ZSTD(1)),
    `ctwa_clid` String CODEC(ZSTD(1)),
    `ad_id` String CODEC(ZSTD(1)),
    `currency` LowCardinality(String),
    `value` Nullable(Decimal(38, 6)) CODEC(ZSTD(1)),
    `order_id` String CODEC(ZSTD(1)),
    `content_type` LowCardinality(String),
    `content_ids` Array(String) CODEC(ZSTD(1)),
    `num_items` Nullable(Int32) CODEC(ZSTD(1)),
    `contents.id` Array(String) CODEC(ZSTD(1)),
    `contents.quantity` Array(Nullable(Int32)) CODEC(ZSTD(1)),
    `contents.item_price` Array(Nullable(Decimal(38, 6))) CODEC(ZSTD(1)),
    `events_received` Nullable(Int32) CODEC(ZSTD(1)),
    `forward_reference_id` String CODEC(ZSTD(1)),
    `meta_http_status` Nullable(Int32) CODEC(ZSTD(1)),
    `meta_code` Nullable(Int32) CODEC(ZSTD(1)),
    `meta_error_subcode` Nullable(Int32) CODEC(ZSTD(1)),
    `meta_error` String CODEC(ZSTD(1)),
    `duplicate_of` Nullable(UUID) CODEC(ZSTD(1)),
    `lane` LowCardinality(String),
    `forward_attempts` Int32 CODEC(ZSTD(1)),
    `possibly_duplicate` Bool CODEC(ZSTD(1)),
    `forward_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `total_ms` Int64 CODEC(ZSTD(1)),
    `body` String CODEC(ZSTD(1)),
    `version` UInt64 CODEC(ZSTD(1)),
    `day` Date MATERIALIZED toDate(coalesce(event_time, received_at), 'UTC') CODEC(ZSTD(1)),
    INDEX by_call_id call_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(received_at)
ORDER BY (business_id, day, received_at, call_id)
SETTINGS min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1
