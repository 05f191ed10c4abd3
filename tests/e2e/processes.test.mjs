// One store, several servers, one after another and side by side: what one has computed, all have.
import assert from 'node:assert/strict';
import {copyFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, it} from 'node:test';
import {close_page, badges, figures, open_browser, open_page, settled} from './browser.mjs';
import {FLIGHTS} from './duck.mjs';
import {ask, make_folder, start_larder, within, write_config} from './larder.mjs';

const QUESTION = 'SELECT origin, avg(delay) AS delay FROM flights GROUP BY origin ORDER BY delay DESC LIMIT 10';

/** Starts servers for `body` and stops them, whatever happens. */
async function with_larders(body) {
  const started = [];
  try {
    await body(async (config) => {
      const larder = await start_larder(config);
      started.push(larder);
      return larder;
    });
  } finally {
    await Promise.all(started.map((larder) => larder.stop()));
  }
}

describe('one store', () => {
  it('answers at once in a second process, and in either what the other computed', async () => {
    await with_larders(async (start) => {
      const config = write_config(make_folder());
      const [one, two] = [await start(config), await start(config)];
      const first = await ask(one.url, QUESTION);
      assert.ok(!first.hit, first.status);
      const second = await ask(two.url, QUESTION);
      assert.ok(second.hit, second.status);
      assert.deepEqual(second.body, first.body);
      assert.equal(second.headers.get('ETag'), first.headers.get('ETag'));

      assert.ok(!(await ask(two.url, 'SELECT count(*) AS n FROM flights')).hit);
      assert.ok((await ask(one.url, 'SELECT count(*) AS n FROM flights')).hit);

      const evicted = await (await fetch(`${two.url}/api/v1/entries`, {method: 'DELETE'})).json();
      assert.equal(evicted.evicted, 2);
      assert.ok(!(await ask(one.url, QUESTION)).hit, 'evicted in one process, still there in the other');
    });
  });

  it('still has everything after a restart, the whole page included', async () => {
    const config = write_config(make_folder());
    const browser = await open_browser();
    try {
      let shown;
      for (const [visit, word] of [['before', 'miss'], ['after', 'hit']]) {
        await with_larders(async (start) => {
          const page = await open_page(browser, (await start(config)).url);
          await settled(page);
          assert.deepEqual([...new Set(Object.values(await badges(page)))], [word], visit);
          shown ??= await figures(page);
          assert.deepEqual(await figures(page), shown);
          await close_page(page);
        });
      }
    } finally {
      await browser.close();
    }
  });

  it('computes once for many who ask at the same time', async () => {
    await with_larders(async (start) => {
      const {url} = await start(write_config(make_folder()));
      const sql = 'SELECT origin, destination, count(*) AS n, avg(delay) AS d FROM flights GROUP BY 1, 2 ORDER BY n DESC LIMIT 7';
      const answers = await Promise.all(Array.from({length: 8}, () => ask(url, sql)));
      for (const {body} of answers) assert.deepEqual(body, answers[0].body);
      const computed = answers.filter(({hit, status}) => !hit && !/collapsed/.test(status));
      assert.equal(computed.length, 1, answers.map(({status}) => status).join(' | '));
      const {entries} = await (await fetch(`${url}/api/v1/entries`)).json();
      assert.equal(entries.length, 1);
    });
  });

  it('computes again when the data has changed, and only then', async () => {
    await with_larders(async (start) => {
      const folder = make_folder();
      const copy = join(folder, 'copy.parquet');
      copyFileSync(FLIGHTS, copy);
      const {url} = await start(write_config(folder, {flights: copy}));
      const before = await ask(url, QUESTION);
      assert.ok((await ask(url, QUESTION)).hit);
      copyFileSync(FLIGHTS, copy);  // the same bytes, but it is for the cache to be careful
      const after = await ask(url, QUESTION);
      assert.ok(!after.hit, after.status);
      assert.notEqual(after.headers.get('ETag'), before.headers.get('ETag'));
      assert.deepEqual(after.body.rows, before.body.rows);
    });
  });

  it('gives up a query when its client goes away', async () => {
    await with_larders(async (start) => {
      const {url} = await start(write_config(make_folder(), {more: 'query:\n  timeout: 60s\n'}));
      const control = new AbortController();
      const slow = 'SELECT count(*) AS n FROM flights a JOIN flights b ON a.delay < b.distance';
      const asked = fetch(`${url}/api/v1/query`, {
        method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({sql: slow}), signal: control.signal,
      }).catch((error) => error.name);
      const running = async () => (await (await fetch(`${url}/api/v1/stats`)).json()).query.running;
      const until = async (wanted) => {
        while ((await running()) !== wanted) await new Promise((resolve) => setTimeout(resolve, 20));
      };
      await within(10_000, 'the query did not start', until(1));
      control.abort();
      assert.equal(await asked, 'AbortError');
      await within(10_000, 'the query went on without its client', until(0));
    });
  });
});
