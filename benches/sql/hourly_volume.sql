SELECT date_trunc('hour', service_request_received_at) AS hour, count(*) AS trails
FROM audit_trails
GROUP BY 1
ORDER BY 1
