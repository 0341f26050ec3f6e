WITH entries AS (
    SELECT
        user_id,
        request_id,
        response_id,
        command_variant,
        device_id,
        mpxn,
        service_reference_variant,
        service_request_received_at,
        current_status,
        unnest(status_change_history) AS entry
    FROM audit_trails
    WHERE anomaly_detection_flag
        AND service_request_received_at >= $from_start
        AND service_request_received_at < $until_end
),
held AS (
    SELECT
        user_id,
        request_id,
        response_id,
        command_variant,
        device_id,
        mpxn,
        service_reference_variant,
        service_request_received_at,
        current_status,
        min(CASE WHEN entry['state'] = 'QUARANTINED' THEN entry['at'] END) AS quarantined_at,
        min(CASE WHEN entry['state'] = 'QUARANTINED' THEN entry['cause'] END) AS cause,
        min(CASE WHEN entry['state'] = 'RELEASED' THEN entry['at'] END) AS released_at,
        min(CASE WHEN entry['state'] = 'DELETED' THEN entry['at'] END) AS deleted_at,
        bool_or(entry['state'] IN ('ARCHIVED', 'PURGED')) AS is_archived
    FROM entries
    GROUP BY
        user_id,
        request_id,
        response_id,
        command_variant,
        device_id,
        mpxn,
        service_reference_variant,
        service_request_received_at,
        current_status
),
judged AS (
    SELECT
        *,
        CASE
            WHEN deleted_at IS NOT NULL AND (released_at IS NULL OR deleted_at <= released_at) THEN 'Deleted'
            WHEN released_at IS NOT NULL THEN 'Released'
            -- Nobody needs to say so: what nobody released within 120 hours is archived.
            WHEN is_archived OR quarantined_at + INTERVAL '120 hours' <= $made_at THEN 'Archived'
            ELSE 'Quarantined'
        END AS state
    FROM held
)
SELECT
    state,
    user_id,
    request_id,
    command_variant,
    device_id,
    mpxn,
    service_reference_variant,
    service_request_received_at,
    quarantined_at,
    cause,
    CASE WHEN state = 'Quarantined' THEN quarantined_at + INTERVAL '120 hours' END AS available_until,
    CASE state WHEN 'Released' THEN 'Release' WHEN 'Deleted' THEN 'Delete' END AS action,
    CASE state WHEN 'Released' THEN released_at WHEN 'Deleted' THEN deleted_at END AS action_at,
    current_status
FROM judged
WHERE state <> 'Archived' AND ($state IS NULL OR state = $state)
