SELECT date_trunc('month', date) AS month, count(*) AS flights, avg(CASE WHEN delay > 15 THEN 1.0 ELSE 0.0 END) AS late
FROM flights GROUP BY ALL ORDER BY month
