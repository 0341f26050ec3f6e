SELECT
    user_id,
    service_reference_variant,
    service_reference_variant_name,
    mode_of_operation,
    count(*) AS transactions,
    count(*) FILTER (WHERE simplified_transaction_status = 'Success') AS success,
    count(*) FILTER (WHERE simplified_transaction_status = 'Failure') AS failure,
    count(*) FILTER (WHERE simplified_transaction_status = 'In Progress') AS in_progress,
    count(*) FILTER (WHERE anomaly_detection_flag) AS quarantined,
    round(CAST(sum(millis) AS DOUBLE) / nullif(count(millis), 0) / 1000, 3) AS average_seconds,
    round(percentile_cont(0.95) WITHIN GROUP (ORDER BY CAST(millis AS DOUBLE)) / 1000, 3) AS p95_seconds
FROM (
    SELECT
        user_id,
        service_reference_variant,
        service_reference_variant_name,
        mode_of_operation,
        simplified_transaction_status,
        anomaly_detection_flag,
        CAST(service_response_sent_at AS BIGINT) - CAST(service_request_received_at AS BIGINT) AS millis
    FROM audit_trails
    WHERE service_request_received_at >= $month_start AND service_request_received_at < $month_end
) AS received
GROUP BY user_id, service_reference_variant, service_reference_variant_name, mode_of_operation
