-- The index of rows that were there before it. ClickHouse builds it part by part, while everything goes on.
ALTER TABLE call_records MATERIALIZE INDEX by_order_id
