WITH runs AS (
    SELECT
        user_id,
        dsp_schedule_id,
        device_id,
        service_reference_variant,
        max(mpxn) AS mpxn,
        min(service_request_received_at) AS first_at,
        max(service_request_received_at) AS last_at,
        count(*) AS runs,
        count(*) FILTER (WHERE simplified_transaction_status = 'Success') AS success,
        count(*) FILTER (WHERE simplified_transaction_status = 'Failure') AS failure,
        count(*) FILTER (WHERE simplified_transaction_status = 'In Progress') AS in_progress,
        last_value(current_status ORDER BY service_request_received_at, response_id) AS last_status,
        last_value(response_code ORDER BY service_request_received_at, response_id) AS last_response_code
    FROM audit_trails
    WHERE mode_of_operation = 'DSP Scheduled'
        AND service_request_received_at >= $from_start
        AND service_request_received_at < $until_end
        AND ($variant IS NULL OR service_reference_variant = $variant)
    GROUP BY user_id, dsp_schedule_id, device_id, service_reference_variant
)
SELECT
    'Runs' AS entry,
    user_id,
    CAST(dsp_schedule_id AS VARCHAR) AS dsp_schedule_id,
    CAST(NULL AS VARCHAR) AS request_id,
    device_id,
    mpxn,
    service_reference_variant,
    first_at,
    last_at,
    runs,
    success,
    failure,
    in_progress,
    last_status,
    last_response_code,
    CASE
        WHEN runs > 1
        THEN round((CAST(last_at AS BIGINT) - CAST(first_at AS BIGINT)) / 3600000.0 / (runs - 1), 3)
    END AS hours_between_runs
FROM runs
UNION ALL
SELECT
    CASE service_reference_variant
        WHEN '5.1' THEN 'Create Schedule'
        WHEN '5.2' THEN 'Read Schedule'
        ELSE 'Delete Schedule'
    END AS entry,
    user_id,
    CAST(dsp_schedule_id AS VARCHAR) AS dsp_schedule_id,
    request_id,
    device_id,
    mpxn,
    service_reference_variant,
    service_request_received_at AS first_at,
    service_response_sent_at AS last_at,
    CAST(NULL AS BIGINT) AS runs,
    CAST(NULL AS BIGINT) AS success,
    CAST(NULL AS BIGINT) AS failure,
    CAST(NULL AS BIGINT) AS in_progress,
    current_status AS last_status,
    response_code AS last_response_code,
    CAST(NULL AS DOUBLE) AS hours_between_runs
FROM audit_trails
WHERE service_reference_variant IN ('5.1', '5.2', '5.3')
    AND service_request_received_at >= $from_start
    AND service_request_received_at < $until_end
    AND ($variant IS NULL OR service_reference_variant = $variant)
