SELECT origin, destination, count(*) AS flights, avg(delay) AS delay_avg, max(delay) AS delay_max
FROM flights GROUP BY ALL HAVING count(*) > 1000 ORDER BY delay_avg DESC, origin, destination LIMIT 20
