-- The release of the ingest that took the call, so that failures can be compared release by release while a deploy goes
-- on. Empty where the call travelled in a message that could not hold it (`CAPI_WRITE_SCHEMAS`), and after a replay.
--
-- With a default, for recorders of the release before go on inserting without it.
ALTER TABLE call_records ADD COLUMN IF NOT EXISTS `release` LowCardinality(String) DEFAULT ''
