-- What anomaly detection tells of a communication counts; of what it tells nothing of, the audit trail does. Nobody needs to say that a communication
-- is archived: it is after 120 hours, and in no report from then on, whatever became of it before.
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
        -- What was quarantined within 120 hours was received not long before: nothing older is read.
        AND service_request_received_at >= CAST($made_at AS TIMESTAMPTZ) - INTERVAL '36 days'
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
trails AS (
    SELECT
        *,
        CASE
            WHEN deleted_at IS NOT NULL AND (released_at IS NULL OR deleted_at <= released_at) THEN 'Deleted'
            WHEN released_at IS NOT NULL THEN 'Released'
            ELSE 'Quarantined'
        END AS state,
        row_number() OVER (PARTITION BY user_id, request_id ORDER BY quarantined_at, command_variant) AS leg
    FROM held
),
-- Both are read once.
both_told AS (
    SELECT
        told.is_reported,
        coalesce(told.user_id, trails.user_id) AS user_id,
        coalesce(told.request_id, trails.request_id) AS request_id,
        coalesce(told.command_variant, trails.command_variant) AS command_variant,
        coalesce(told.device_id, trails.device_id) AS device_id,
        coalesce(told.mpxn, trails.mpxn) AS mpxn,
        coalesce(told.service_reference_variant, trails.service_reference_variant) AS service_reference_variant,
        coalesce(told.service_request_received_at, trails.service_request_received_at) AS service_request_received_at,
        coalesce(told.quarantined_at, trails.quarantined_at) AS quarantined_at,
        coalesce(told.available_until, trails.quarantined_at + INTERVAL '120 hours') AS available_until,
        coalesce(told.state, trails.state) AS state,
        CASE
            WHEN told.is_reported IS NOT NULL THEN told.settled_at
            WHEN trails.state = 'Released' THEN released_at
            WHEN trails.state = 'Deleted' THEN deleted_at
        END AS action_at,
        breach,
        cause,
        quarantine_event_reference,
        incident_reference,
        dcc_alert_id,
        advice,
        advised_at,
        answer,
        answered_at,
        is_archived,
        leg,
        current_status
    FROM quarantined_communications AS told
    FULL OUTER JOIN trails ON trails.user_id = told.user_id AND trails.request_id = told.request_id
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
    breach,
    cause,
    quarantine_event_reference,
    incident_reference,
    dcc_alert_id,
    advice,
    advised_at,
    CASE WHEN state IN ('Quarantined', 'Archived') THEN available_until END AS available_until,
    CASE state WHEN 'Released' THEN 'Release' WHEN 'Deleted' THEN 'Delete' ELSE answer END AS action,
    answered_at,
    action_at,
    current_status
FROM both_told
WHERE coalesce(is_reported, NOT is_archived AND available_until > $made_at)
    -- Of a request of several legs, anomaly detection tells of one communication: it is the leg that was quarantined first.
    AND (is_reported IS NULL OR coalesce(leg, 1) = 1)
    AND ($state IS NULL OR state = $state)
    AND ($incident IS NULL OR incident_reference = $incident)
