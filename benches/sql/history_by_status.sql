SELECT current_status, count(*) AS trails, avg(array_length(status_change_history)) AS entries
FROM audit_trails
GROUP BY 1
ORDER BY 1
