-- A run is of the schedule of its User that has its identifier, where that is known; all others stand together by what they name. Of days: the day in
-- the United Kingdom that begins at an instant is the day in UTC twelve hours later.
WITH runs AS (
    SELECT
        audit_trails.user_id,
        audit_trails.dsp_schedule_id,
        known.user_id IS NOT NULL AS is_known,
        CASE WHEN known.user_id IS NULL THEN audit_trails.device_id END AS device_id,
        CASE WHEN known.user_id IS NULL THEN audit_trails.service_reference_variant END AS service_reference_variant,
        audit_trails.mpxn,
        audit_trails.service_request_received_at,
        audit_trails.simplified_transaction_status,
        audit_trails.current_status,
        audit_trails.response_code,
        audit_trails.response_id
    FROM audit_trails
    LEFT JOIN schedules AS known
        ON known.user_id = audit_trails.user_id
        AND known.dsp_schedule_id = audit_trails.dsp_schedule_id
    WHERE audit_trails.mode_of_operation = 'DSP Scheduled'
        AND audit_trails.service_request_received_at >= $from_start
        AND audit_trails.service_request_received_at < $until_end
        AND ($variant IS NULL OR audit_trails.service_reference_variant = $variant)
),
told AS (
    SELECT
        user_id,
        dsp_schedule_id,
        is_known,
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
    FROM runs
    GROUP BY user_id, dsp_schedule_id, is_known, device_id, service_reference_variant
),
-- Each schedule with its runs, and runs without a schedule.
both_told AS (
    SELECT
        known.user_id IS NOT NULL AS is_known,
        coalesce(known.user_id, told.user_id) AS user_id,
        coalesce(known.dsp_schedule_id, told.dsp_schedule_id) AS dsp_schedule_id,
        known.created_request_id AS request_id,
        coalesce(known.device_id, told.device_id) AS device_id,
        told.mpxn,
        coalesce(known.service_reference_variant, told.service_reference_variant) AS service_reference_variant,
        known.frequency,
        known.start_date,
        known.end_date,
        known.execution_start_time,
        known.start_date_offset,
        known.start_time,
        known.end_date_offset,
        known.end_time,
        known.created_at,
        told.first_at,
        told.last_at,
        told.runs,
        told.success,
        told.failure,
        told.in_progress,
        told.last_status,
        told.last_response_code,
        known.next_due_at,
        known.removed_at,
        known.removal_reason
    FROM schedules AS known
    FULL JOIN told
        ON told.is_known
        AND told.user_id = known.user_id
        AND told.dsp_schedule_id = known.dsp_schedule_id
)
SELECT
    CASE WHEN is_known THEN 'Schedule' ELSE 'Runs' END AS entry,
    user_id,
    CAST(dsp_schedule_id AS VARCHAR) AS dsp_schedule_id,
    request_id,
    device_id,
    mpxn,
    service_reference_variant,
    frequency,
    start_date,
    end_date,
    execution_start_time,
    start_date_offset,
    start_time,
    end_date_offset,
    end_time,
    created_at,
    first_at,
    last_at,
    CASE WHEN is_known THEN coalesce(runs, 0) ELSE runs END AS runs,
    CASE WHEN is_known THEN coalesce(success, 0) ELSE success END AS success,
    CASE WHEN is_known THEN coalesce(failure, 0) ELSE failure END AS failure,
    CASE WHEN is_known THEN coalesce(in_progress, 0) ELSE in_progress END AS in_progress,
    last_status,
    last_response_code,
    CASE
        WHEN runs > 1
        THEN round((CAST(last_at AS BIGINT) - CAST(first_at AS BIGINT)) / 3600000.0 / (runs - 1), 3)
    END AS hours_between_runs,
    next_due_at,
    removed_at,
    removal_reason
FROM both_told
WHERE ($frequency IS NULL OR frequency = $frequency)
    AND ($variant IS NULL OR service_reference_variant = $variant)
    AND (
        $active_on_start IS NULL
        OR (
            is_known
            AND (created_at IS NULL OR created_at < $active_on_end)
            AND (removed_at IS NULL OR removed_at >= $active_on_start)
            AND (start_date IS NULL OR start_date <= CAST(CAST($active_on_start AS TIMESTAMPTZ) + INTERVAL '12 hours' AS DATE))
            AND (end_date IS NULL OR end_date >= CAST(CAST($active_on_start AS TIMESTAMPTZ) + INTERVAL '12 hours' AS DATE))
        )
    )
    AND (
        runs > 0
        OR (
            (created_at IS NULL OR created_at < $until_end)
            AND (removed_at IS NULL OR removed_at >= $from_start)
            AND (end_date IS NULL OR end_date >= CAST(CAST($from_start AS TIMESTAMPTZ) + INTERVAL '12 hours' AS DATE))
        )
    )
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
    CAST(NULL AS VARCHAR) AS frequency,
    CAST(NULL AS DATE) AS start_date,
    CAST(NULL AS DATE) AS end_date,
    CAST(NULL AS VARCHAR) AS execution_start_time,
    CAST(NULL AS BIGINT) AS start_date_offset,
    CAST(NULL AS VARCHAR) AS start_time,
    CAST(NULL AS BIGINT) AS end_date_offset,
    CAST(NULL AS VARCHAR) AS end_time,
    CAST(NULL AS TIMESTAMPTZ) AS created_at,
    service_request_received_at AS first_at,
    service_response_sent_at AS last_at,
    CAST(NULL AS BIGINT) AS runs,
    CAST(NULL AS BIGINT) AS success,
    CAST(NULL AS BIGINT) AS failure,
    CAST(NULL AS BIGINT) AS in_progress,
    current_status AS last_status,
    response_code AS last_response_code,
    CAST(NULL AS DOUBLE) AS hours_between_runs,
    CAST(NULL AS TIMESTAMPTZ) AS next_due_at,
    CAST(NULL AS TIMESTAMPTZ) AS removed_at,
    CAST(NULL AS VARCHAR) AS removal_reason
FROM audit_trails
WHERE service_reference_variant IN ('5.1', '5.2', '5.3')
    AND service_request_received_at >= $from_start
    AND service_request_received_at < $until_end
    AND ($variant IS NULL OR service_reference_variant = $variant)
    AND $frequency IS NULL
    AND $active_on_start IS NULL
