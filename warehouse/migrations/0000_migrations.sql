-- Which of the files beside this one have been applied. Two `capi setup` at once may both write a line: it is the same.
CREATE TABLE IF NOT EXISTS migrations
(
    `number` UInt32,
    `name` String,
    `checksum` String,
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY number
