SELECT
    service_request_received_at,
    user_id,
    device_id,
    mpxn,
    service_reference,
    service_reference_variant,
    service_reference_variant_name,
    mode_of_operation,
    command_variant,
    alert_code,
    request_id,
    response_id,
    preceding_request_id,
    CAST(gbcs_transaction_sequence_number AS VARCHAR) AS gbcs_transaction_sequence_number,
    csp_region,
    simplified_transaction_status,
    current_status,
    response_code,
    service_response_sent_at,
    execution_at,
    anomaly_detection_flag
FROM audit_trails
WHERE ($device_id IS NULL OR device_id = $device_id)
    AND ($mpxn IS NULL OR mpxn = $mpxn)
    AND ($variant IS NULL OR service_reference_variant = $variant)
    AND service_request_received_at >= $from_start
    AND service_request_received_at < $until_end
