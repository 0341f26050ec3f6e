SELECT date_trunc('month', service_request_received_at) AS month, simplified_transaction_status, count(*) AS trails
FROM audit_trails
GROUP BY 1, 2
ORDER BY 1, 2
