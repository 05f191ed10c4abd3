SELECT least(greatest(delay, -60), 180) // 10 * 10 AS delay, distance // 200 * 200 AS distance, count(*) AS flights
FROM flights WHERE origin <> destination GROUP BY ALL ORDER BY ALL
