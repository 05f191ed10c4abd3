SELECT hour(date) AS hour, count(*) AS flights, avg(delay) AS delay_avg FROM flights GROUP BY ALL ORDER BY hour
