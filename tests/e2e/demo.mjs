// ./dev demo: Larder's main job in a minute. Starts a server on three million flights and an empty store, asks five questions cold and
// then warm, and keeps the page open for you. With --check it then opens the page in a browser, brushes a chart, holds the figures against
// DuckDB asked directly, leaves a picture in .demo/flights.png and ends, with an exit code that says how it went.
import assert from 'node:assert/strict';
import {mkdirSync, mkdtempSync, rmSync, statSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {badges, brush, close_page, figures, interval, open_browser, open_page, settled} from './browser.mjs';
import {open_duck} from './duck.mjs';
import {ROOT, ask, start_larder} from './larder.mjs';
import {figures_by_duck} from './words.mjs';

const CONFIG = 'examples/flights/larder.yaml';
const WARM_RUNS = 51;

const QUESTIONS = [
  ['How many flights, and how late?', 'SELECT count(*) AS flights, avg(delay) AS delay, count(*) FILTER (WHERE delay > 15) AS late FROM flights'],
  ['Flights and delay by hour of day', 'SELECT hour(date) AS hour, count(*) AS flights, avg(delay) AS delay FROM flights GROUP BY 1 ORDER BY 1'],
  ['The ten busiest routes', 'SELECT origin, destination, count(*) AS flights FROM flights GROUP BY 1, 2 ORDER BY flights DESC, 1, 2 LIMIT 10'],
  ['Median and worst delay by origin', 'SELECT origin, median(delay) AS median, quantile_cont(delay, 0.99) AS worst FROM flights GROUP BY 1 ORDER BY worst DESC, 1'],
  ['Each day against the week before', `SELECT day, flights, flights - lag(flights, 7) OVER (ORDER BY day) AS change
     FROM (SELECT date_trunc('day', date) AS day, count(*) AS flights FROM flights GROUP BY 1) ORDER BY day`],
];

const check = process.argv.includes('--check');
for (const word of process.argv.slice(2)) {
  if (word !== '--check') {
    console.error(`demo: unknown argument ${word}; there is only --check`);
    process.exit(2);
  }
}

mkdirSync(join(ROOT, '.demo'), {recursive: true});
const store = mkdtempSync(join(ROOT, '.demo/fresh-'));  // of this run alone, so that two demos don't warm each other
process.on('exit', () => rmSync(store, {recursive: true, force: true}));

const usual_is_free = await is_free(8080);
const larder = await start_larder(join(ROOT, CONFIG), '--store', store, '--listen', `127.0.0.1:${usual_is_free ? 8080 : 0}`);
try {
  console.log(`\nLarder serves three million flights from ${CONFIG}${usual_is_free ? '' : ' (port 8080 is taken, so on another)'}`);
  console.log(`  the page    ${larder.url}/\n  the cache   ${larder.url}/admin\n`);
  const factors = await five_questions();
  if (check) {
    const factor = median(factors);
    assert.ok(factor > 5, `a warm answer is only ${factor.toFixed(1)} times as fast as a cold one`);
    await check_page();
    console.log('All checked: the page, its figures against DuckDB, hits after a reload. Picture in .demo/flights.png');
  } else {
    console.log('Press Ctrl-C to end.');
    await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  }
} finally {
  await larder.stop();
}

async function five_questions() {
  const rows = [];
  for (const [title, sql] of QUESTIONS) {
    const cold = await ask(larder.url, sql, {format: 'arrow'});
    assert.ok(!cold.hit, `"${title}" was in a store that should be empty`);
    const warm = [];
    for (let i = 0; i < WARM_RUNS; ++i) {
      const answer = await ask(larder.url, sql, {format: 'arrow'});
      assert.ok(answer.hit, `"${title}" was not kept: ${answer.status}`);
      assert.ok(answer.body.equals(cold.body), `"${title}" came back changed`);
      warm.push(answer.ms);
    }
    rows.push({title, cold: cold.ms, warm: median(warm)});
  }
  const width = Math.max(...rows.map(({title}) => title.length));
  const line = (title, ...cells) => console.log(`  ${title.padEnd(width)}${cells.map((cell) => cell.padStart(11)).join('')}`);
  line('question', 'cold ms', 'warm ms', 'factor');
  for (const {title, cold, warm} of rows) line(title, cold.toFixed(1), warm.toFixed(2), `${Math.round(cold / warm)} x`);
  console.log(`\n  Over HTTP as a client sees it; warm is the median of ${WARM_RUNS}.\n`);
  return rows.map(({cold, warm}) => cold / warm);
}

async function check_page() {
  const duck = await open_duck();
  const browser = await open_browser();
  try {
    const page = await open_page(browser, larder.url);
    await settled(page);
    assert.deepEqual(await figures(page), await figures_by_duck(duck), 'figures of all flights');
    await brush(page, 'delay', [33, 87], [-60, 180]);
    await settled(page);
    const [low, high] = interval(page, 'delay');
    assert.deepEqual(await figures(page), await figures_by_duck(duck, `delay >= ${low} AND delay < ${high}`), 'figures under the brush');
    await page.reload();
    await settled(page);
    assert.deepEqual([...new Set(Object.values(await badges(page)))], ['hit'], 'badges after a reload');
    const picture = join(ROOT, '.demo/flights.png');
    await page.screenshot({path: picture, fullPage: true});
    assert.ok(statSync(picture).size > 10_000, 'the picture is empty');
    await close_page(page);
  } finally {
    await browser.close();
    duck.close();
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

function is_free(port) {
  return new Promise((resolve) => {
    const probe = createServer().once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
