SELECT user_id, count(DISTINCT device_id) AS devices
FROM audit_trails
GROUP BY 1
ORDER BY 2 DESC, 1
