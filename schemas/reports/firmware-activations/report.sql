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
        current_status
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
    verification_alert_code,
    verified_at,
    service_response_sent_at,
    response_code,
    simplified_transaction_status,
    current_status
FROM requests
LEFT JOIN verified
    ON verified.user_id = requests.user_id
    AND verified.request_id = requests.request_id
    AND verified.command_variant = requests.command_variant
