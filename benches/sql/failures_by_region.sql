SELECT csp_region, count(*) AS failures
FROM audit_trails
WHERE simplified_transaction_status = 'Failure'
GROUP BY 1
ORDER BY 2 DESC, 1
