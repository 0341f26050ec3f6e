SELECT service_reference_variant, response_code, count(*) AS trails
FROM audit_trails
WHERE response_code IS NOT NULL
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
LIMIT 20
