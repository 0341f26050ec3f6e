SELECT service_request_received_at, device_id, request_id, response_code
FROM audit_trails
WHERE service_request_received_at >= TIMESTAMPTZ '2026-03-09T00:00:00Z'
    AND service_request_received_at < TIMESTAMPTZ '2026-03-16T00:00:00Z'
    AND service_reference_variant = '4.8.1'
ORDER BY 1 DESC, 3
LIMIT 100
