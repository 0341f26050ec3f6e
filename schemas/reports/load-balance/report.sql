-- Slots are counted from the first instant of the period, so that a day of 23 or 25 hours has as many of them as it has hours. Each row of the
-- audit trail may count three times: where it was received, where it is due, and where it was answered.
WITH digits AS (
    SELECT column1 AS digit FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS ten
),
bounds AS (
    SELECT
        CAST(CAST($from_start AS TIMESTAMPTZ) AS BIGINT) / 1000000 AS first_ms,
        CAST(CAST($until_end AS TIMESTAMPTZ) AS BIGINT) / 1000000 AS end_ms,
        CASE WHEN $slot = 'half hour' THEN 1800000 ELSE 3600000 END AS slot_ms
),
slots AS (
    SELECT slot, CAST(to_timestamp_millis(first_ms + slot * slot_ms) AS TIMESTAMPTZ) AS slot_start
    FROM bounds
    CROSS JOIN (
        SELECT a.digit + 10 * b.digit + 100 * c.digit + 1000 * d.digit AS slot
        FROM digits AS a CROSS JOIN digits AS b CROSS JOIN digits AS c CROSS JOIN digits AS d
    ) AS numbered
    WHERE first_ms + slot * slot_ms < end_ms
),
told AS (
    SELECT
        user_id,
        CASE
            WHEN which = 2 THEN 'due'
            WHEN which = 3 THEN 'response'
            WHEN mode_of_operation = 'DSP Scheduled' THEN 'run'
            WHEN mode_of_operation IN ('Device Alert', 'DCC Alert', 'Meter Scheduled') THEN 'alert'
            ELSE 'request'
        END AS kind,
        CASE
            WHEN which = 1 THEN CAST(service_request_received_at AS BIGINT)
            WHEN which = 2 AND mode_of_operation = 'Future Date' THEN CAST(execution_at AS BIGINT)
            WHEN which = 3 AND mode_of_operation NOT IN ('Device Alert', 'DCC Alert', 'Meter Scheduled')
            THEN CAST(service_response_sent_at AS BIGINT)
        END AS told_ms
    FROM (SELECT column1 AS which FROM (VALUES (1), (2), (3)) AS three) AS ways
    CROSS JOIN audit_trails
    -- What is due or answered in the period was received before it, at most 92 days: nothing older is read.
    WHERE service_request_received_at >= CAST($from_start AS TIMESTAMPTZ) - INTERVAL '92 days'
        AND service_request_received_at < $until_end
        AND ($variant IS NULL OR service_reference_variant = $variant)
        AND ($region IS NULL OR csp_region = $region)
),
counted AS (
    SELECT
        user_id,
        (told_ms - first_ms) / slot_ms AS slot,
        count(*) FILTER (WHERE kind = 'request') AS requests_received,
        count(*) FILTER (WHERE kind = 'run') AS scheduled_runs,
        count(*) FILTER (WHERE kind = 'due') AS future_dated_due,
        count(*) FILTER (WHERE kind = 'response') AS responses,
        count(*) FILTER (WHERE kind = 'alert') AS alerts
    FROM bounds
    CROSS JOIN told
    WHERE told_ms >= first_ms AND told_ms < end_ms
    GROUP BY user_id, (told_ms - first_ms) / slot_ms
),
-- What is counted is read once: each slot of which something is told brings the empty ones before it, and the last of a User ID those behind it.
spans AS (
    SELECT
        *,
        coalesce(lag(slot) OVER (PARTITION BY user_id ORDER BY slot) + 1, 0) AS first_slot,
        CASE WHEN lead(slot) OVER (PARTITION BY user_id ORDER BY slot) IS NOT NULL THEN slot END AS last_slot
    FROM counted
),
filled AS (
    SELECT
        user_id,
        slot_start,
        date_trunc('day', slot_start AT TIME ZONE 'Europe/London') AS uk_day,
        CASE WHEN slots.slot = spans.slot THEN requests_received ELSE 0 END AS requests_received,
        CASE WHEN slots.slot = spans.slot THEN scheduled_runs ELSE 0 END AS scheduled_runs,
        CASE WHEN slots.slot = spans.slot THEN future_dated_due ELSE 0 END AS future_dated_due,
        CASE WHEN slots.slot = spans.slot THEN responses ELSE 0 END AS responses,
        CASE WHEN slots.slot = spans.slot THEN alerts ELSE 0 END AS alerts
    FROM spans
    INNER JOIN slots ON slots.slot >= first_slot AND (last_slot IS NULL OR slots.slot <= last_slot)
)
SELECT
    user_id,
    slot_start,
    slot_start AS slot_start_uk,
    requests_received,
    scheduled_runs,
    future_dated_due,
    responses,
    alerts,
    round(
        100.0 * (requests_received + scheduled_runs)
        / nullif(sum(requests_received + scheduled_runs) OVER (PARTITION BY user_id, uk_day), 0),
        3
    ) AS share_of_day,
    round(
        CAST(max(requests_received + scheduled_runs) OVER (PARTITION BY user_id, uk_day) AS DOUBLE)
        * count(*) OVER (PARTITION BY user_id, uk_day)
        / nullif(sum(requests_received + scheduled_runs) OVER (PARTITION BY user_id, uk_day), 0),
        3
    ) AS peak_to_mean
FROM filled
