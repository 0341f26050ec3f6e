SELECT service_reference_variant, count(*) AS answered, min(seconds) AS fastest, avg(seconds) AS mean, max(seconds) AS slowest
FROM (
    SELECT service_reference_variant,
        date_part('epoch', service_response_sent_at) - date_part('epoch', service_request_received_at) AS seconds
    FROM audit_trails
    WHERE service_response_sent_at IS NOT NULL AND service_request_received_at IS NOT NULL
) AS answered
GROUP BY 1
ORDER BY 1
