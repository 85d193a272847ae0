-- Counted call by call: a failure that was corrected later was a failure. A call whose key was refused is nobody's.
SELECT
    business_id, day, failed.1 AS failure_stage, calls, failed.2 AS failures,
    failures / calls AS failure_rate,
    failed.3 AS top_error
FROM
(
    SELECT
        business_id, day,
        sum(stage_calls) AS calls,
        groupArrayIf((failure_stage, stage_calls, stage_top_error), failure_stage != '') AS stages
    FROM
    (
        SELECT
            business_id, day, failure_stage,
            sum(error_calls) AS stage_calls,
            argMax(error, (error_calls, error)) AS stage_top_error
        FROM
        (
            SELECT business_id, toDate(received_at) AS day, failure_stage, error, count() AS error_calls
            FROM call_records FINAL
            WHERE failure_stage != 'authentication'
            GROUP BY business_id, day, failure_stage, error
        )
        GROUP BY business_id, day, failure_stage
    )
    GROUP BY business_id, day
)
ARRAY JOIN stages AS failed
