-- Who asks what became of an order knows its business and its id: the index says which granules of the business have it.
ALTER TABLE call_records ADD INDEX IF NOT EXISTS by_order_id order_id TYPE bloom_filter(0.001) GRANULARITY 1
