SELECT origin, count(*) AS flights, quantile_cont(delay, 0.5) AS p50, quantile_cont(delay, 0.9) AS p90,
       quantile_cont(delay, 0.99) AS p99
FROM flights GROUP BY ALL ORDER BY p99 DESC, origin LIMIT 25
