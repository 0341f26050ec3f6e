WITH requests AS (
    SELECT
        user_id,
        request_id,
        command_variant,
        service_reference_variant,
        device_id,
        mpxn,
        concerned_device_ids,
        service_request_received_at,
        execution_at,
        service_response_sent_at,
        response_code,
        simplified_transaction_status,
        current_status,
        status_change_history
    FROM audit_trails
    WHERE service_reference_variant IN ('11.1', '11.3')
        AND service_request_received_at >= $from_start
        AND service_request_received_at < $until_end
        AND ($device_id IS NULL OR device_id = $device_id OR array_has(concerned_device_ids, CAST($device_id AS VARCHAR)))
),
-- What the Device said of an image that it got (8F72: as it was sent; 8F1C: not so) in the 92 days before it was told to activate one.
verifications AS (
    SELECT user_id, device_id, alert_code, service_request_received_at AS verified_at
    FROM audit_trails
    WHERE alert_code IN ('8F72', '8F1C')
        AND service_request_received_at >= CAST($from_start AS TIMESTAMPTZ) - INTERVAL '92 days'
        AND service_request_received_at < $until_end
),
verified AS (
    SELECT
        requests.user_id,
        requests.request_id,
        requests.command_variant,
        last_value(alert_code ORDER BY verified_at, alert_code) AS verification_alert_code,
        max(verified_at) AS verified_at
    FROM requests
    INNER JOIN verifications
        ON verifications.user_id = requests.user_id
        AND verifications.device_id = requests.device_id
        AND verifications.verified_at <= requests.service_request_received_at
        AND verifications.verified_at >= requests.service_request_received_at - INTERVAL '92 days'
    WHERE requests.service_reference_variant = '11.3'
    GROUP BY requests.user_id, requests.request_id, requests.command_variant
),
-- What DCC Alerts said of Devices that a distribution did not reach: entries of its history, whose cause ends with the code.
entries AS (
    SELECT user_id, request_id, command_variant, unnest(status_change_history) AS entry
    FROM requests
    WHERE service_reference_variant = '11.1'
),
undistributed AS (
    SELECT
        user_id,
        request_id,
        command_variant,
        last_value(nullif(split_part(CAST(entry['cause'] AS VARCHAR), ': ', -1), '') ORDER BY entry['at'], entry['cause']) AS distribution_alert_code,
        max(entry['at']) AS distribution_alert_at
    FROM entries
    WHERE entry['state'] = 'ALERT_RECEIVED'
    GROUP BY user_id, request_id, command_variant
),
-- When each activation is to take effect, and the next one of its Device. The leg that is transformed (4) activates nothing.
activations AS (
    SELECT
        user_id,
        request_id,
        command_variant,
        lead(coalesce(execution_at, service_request_received_at)) OVER (
            PARTITION BY device_id
            ORDER BY coalesce(execution_at, service_request_received_at), request_id, command_variant
        ) AS next_at
    FROM audit_trails
    WHERE service_reference_variant = '11.3'
        AND command_variant <> 4
        AND service_request_received_at >= CAST($from_start AS TIMESTAMPTZ) - INTERVAL '92 days'
        AND service_request_received_at < CAST($until_end AS TIMESTAMPTZ) + INTERVAL '92 days'
),
-- What the inventory knows of the Device: of a distribution only where it names one.
known AS (
    SELECT
        requests.user_id,
        requests.request_id,
        requests.command_variant,
        coalesce(requests.execution_at, requests.service_request_received_at) AS starts_at,
        CAST(inventory_history.value AS VARCHAR) AS firmware_version,
        inventory_history.valid_from,
        max(
            CASE
                WHEN inventory_history.valid_from <= requests.service_request_received_at
                    AND (inventory_history.valid_until IS NULL OR inventory_history.valid_until > requests.service_request_received_at)
                    THEN CAST(inventory_history.value AS VARCHAR)
            END
        ) OVER (PARTITION BY requests.user_id, requests.request_id, requests.command_variant) AS version_before
    FROM requests
    INNER JOIN inventory_history
        ON inventory_history.device_id = requests.device_id
    WHERE inventory_history.field = 'Firmware Version'
        AND (requests.service_reference_variant = '11.3' OR cardinality(requests.concerned_device_ids) = 0)
),
-- Those that took effect from when the request did, for 31 days or until the next activation.
followed AS (
    SELECT
        known.user_id,
        known.request_id,
        known.command_variant,
        known.version_before,
        CASE
            WHEN known.command_variant <> 4
                AND known.valid_from >= known.starts_at
                AND known.valid_from < known.starts_at + INTERVAL '31 days'
                AND (activations.next_at IS NULL OR known.valid_from < activations.next_at)
                AND known.firmware_version IS DISTINCT FROM known.version_before
                THEN known.valid_from
        END AS version_after_from,
        known.firmware_version
    FROM known
    LEFT JOIN activations
        ON activations.user_id = known.user_id
        AND activations.request_id = known.request_id
        AND activations.command_variant = known.command_variant
),
versions AS (
    SELECT
        user_id,
        request_id,
        command_variant,
        max(version_before) AS version_before,
        first_value(firmware_version ORDER BY version_after_from) FILTER (WHERE version_after_from IS NOT NULL) AS version_after,
        min(version_after_from) AS version_after_from
    FROM followed
    GROUP BY user_id, request_id, command_variant
)
SELECT
    CASE WHEN service_reference_variant = '11.1' THEN 'Distribution' ELSE 'Activation' END AS stage,
    requests.user_id,
    requests.request_id,
    requests.command_variant,
    device_id,
    mpxn,
    cardinality(concerned_device_ids) AS other_devices,
    service_request_received_at,
    execution_at,
    distribution_alert_code,
    distribution_alert_at,
    verification_alert_code,
    verified_at,
    version_before,
    version_after,
    version_after_from,
    service_response_sent_at,
    response_code,
    simplified_transaction_status,
    current_status
FROM requests
LEFT JOIN verified
    ON verified.user_id = requests.user_id
    AND verified.request_id = requests.request_id
    AND verified.command_variant = requests.command_variant
LEFT JOIN undistributed
    ON undistributed.user_id = requests.user_id
    AND undistributed.request_id = requests.request_id
    AND undistributed.command_variant = requests.command_variant
LEFT JOIN versions
    ON versions.user_id = requests.user_id
    AND versions.request_id = requests.request_id
    AND versions.command_variant = requests.command_variant
