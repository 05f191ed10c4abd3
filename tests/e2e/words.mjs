// How the page writes numbers, written down a second time: tests compare texts with what DuckDB says, through these.
const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const one_digit = new Intl.NumberFormat('en', {minimumFractionDigits: 1, maximumFractionDigits: 1});

export const count = (value) => whole.format(value);
export const decimal = (value) => (value === null ? '–' : one_digit.format(value).replace('-', '−'));
export const share = (part, all) => (all === 0 ? '–' : `${one_digit.format(100 * part / all)}%`);
export const signed = (value) => whole.format(value).replace('-', '−');

/** The four figures that the page must show for the flights that `where` leaves, from DuckDB itself. */
export async function figures_by_duck(duck, where = 'true') {
  const [row] = await duck.rows(`SELECT count(*) AS flights, avg(delay) AS delay, count(*) FILTER (WHERE delay > 15) AS late, avg(distance) AS distance
                                 FROM flights WHERE ${where}`);
  return {
    flights: count(row.flights),
    delay: decimal(row.delay),
    late: share(row.late, row.flights),
    distance: row.distance === null ? '–' : count(row.distance),
  };
}
