// The flights page in a real browser, against a real server; DuckDB asked directly is the judge of its numbers.
import assert from 'node:assert/strict';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, describe, it} from 'node:test';
import {badges, brush, close_page, figures, interval, open_browser, open_page, settled, table} from './browser.mjs';
import {open_duck} from './duck.mjs';
import {ROOT, make_folder, start_larder, write_config} from './larder.mjs';
import {count, figures_by_duck, signed} from './words.mjs';

const DELAY = [-60, 180];
const DISTANCE = [0, 2800];
const PICTURES = join(ROOT, 'build/e2e');

let duck, larder, browser;

before(async () => {
  mkdirSync(PICTURES, {recursive: true});
  duck = await open_duck();
  larder = await start_larder(write_config(make_folder()));
  browser = await open_browser();
});
after(async () => {
  await browser?.close();
  await larder?.stop();
  duck?.close();
});

/** Opens the page, hands it to `body` once it has settled, and holds its complaints against it. */
async function on_page(query, body, look) {
  const page = await open_page(browser, larder.url + query, look);
  await settled(page);
  await body(page);
  await close_page(page);
}

/** The WHERE that the filters in the page's address stand for, put together without the page's help. */
function where(page) {
  const terms = ['true'];
  const column = {delay: 'delay', distance: 'distance', hour: 'hour(date)'};
  for (const name of ['delay', 'distance', 'hour']) {
    const picked = interval(page, name);
    if (!picked) continue;
    const [low, high] = picked;
    if (!(name === 'delay' && low === DELAY[0])) terms.push(`${column[name]} >= ${low}`);
    if (!(name === 'delay' && high === DELAY[1]) && !(name === 'distance' && high === DISTANCE[1])) terms.push(`${column[name]} < ${high}`);
  }
  const origins = new URL(page.url()).searchParams.get('origin');
  if (origins) terms.push(`origin IN (${origins.split(',').map((origin) => `'${origin}'`)})`);
  return terms.join(' AND ');
}

const all = (word) => ({kpis: word, delay: word, distance: word, hour: word, origins: word, rows: word});

describe('flights', () => {
  it('computes at the first visit and answers from the cache at the second', async () => {
    await on_page('/', async (page) => {
      assert.deepEqual(await badges(page), all('miss'));
      assert.deepEqual(await figures(page), await figures_by_duck(duck));
      await page.reload();
      await settled(page);
      assert.deepEqual(await badges(page), all('hit'));
      assert.deepEqual(await figures(page), await figures_by_duck(duck));
    });
  });

  it('tells how old an answer is, how long it took and what it saved', async () => {
    await on_page('/', async (page) => {
      const badge = page.locator('#kpis .badge');
      assert.match(await badge.innerText(), /^hit\s+[\d.]+ ms\s+(new|\d+ (s|min) old)$/);
      assert.ok(!(await page.locator('#kpis .tip').isVisible()));
      await badge.focus();
      await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Tab');
      const tip = await page.locator('#kpis .tip').innerText();
      for (const word of ['from the cache', 'Lookup', 'Saved', 'Round trip', 'Request']) assert.ok(tip.includes(word), `${word} in ${tip}`);
    });
  });

  it('filters every panel by a brush, exactly', async () => {
    await on_page('/', async (page) => {
      await brush(page, 'delay', [33, 87], DELAY);
      await settled(page);
      assert.deepEqual(interval(page, 'delay'), [30, 90]);
      assert.deepEqual(await figures(page), await figures_by_duck(duck, 'delay >= 30 AND delay < 90'));

      await page.getByRole('button', {name: 'Show Distance as table'}).click();
      const bins = await duck.rows('SELECT least(floor(distance / 100), 27)::INT AS bin, count(*) AS n FROM flights WHERE delay >= 30 AND delay < 90 GROUP BY 1');
      const wanted = Array.from({length: 28}, (_, bin) => count(bins.find((row) => row.bin === bin)?.n ?? 0));
      assert.deepEqual((await table(page, 'distance')).map(([, flights]) => flights), wanted);

      // The brushed chart is not filtered by its own brush.
      await page.getByRole('button', {name: 'Show Arrival delay as table'}).click();
      const delays = (await table(page, 'delay')).map(([, flights]) => Number(flights.replaceAll(',', '')));
      assert.equal(delays.reduce((sum, flights) => sum + flights), 3_000_000);
    });
  });

  it('takes brushes on several charts and origins together', async () => {
    await on_page('/', async (page) => {
      await brush(page, 'distance', [520, 1480], DISTANCE);
      await settled(page);
      await brush(page, 'hour', [6, 12], [0, 24]);
      await settled(page);
      const [first, second] = await page.locator('[data-origin]').evaluateAll((bars) => bars.map((bar) => bar.dataset.origin));
      await page.click(`[data-origin=${first}]`);
      await page.click(`[data-origin=${second}]`);
      await settled(page);
      assert.deepEqual(new URL(page.url()).searchParams.get('origin').split(',').sort(), [first, second].sort());
      assert.deepEqual(interval(page, 'distance'), [500, 1500]);
      assert.deepEqual(await figures(page), await figures_by_duck(duck, where(page)));

      const top = await duck.rows('SELECT origin, count(*) AS n FROM flights WHERE distance >= 500 AND distance < 1500 AND hour(date) >= 6 AND hour(date) < 12 GROUP BY 1 ORDER BY n DESC, origin LIMIT 15');
      assert.deepEqual(await page.locator('[data-origin]').evaluateAll((bars) => bars.map((bar) => bar.innerText.split(/\s+/).filter(Boolean))),
                       top.map(({origin, n}) => [origin, count(n)]));

      await page.getByRole('button', {name: 'Reset filters'}).click();
      await settled(page);
      assert.equal(new URL(page.url()).search, '');
      assert.deepEqual(await figures(page), await figures_by_duck(duck));
    });
  });

  it('comes back as it was from its address, and leaves out of an address what it does not understand', async () => {
    await on_page('/?delay=30..60&origin=ATL,ORD&sort=-delay', async (page) => {
      assert.deepEqual(await figures(page), await figures_by_duck(duck, "delay >= 30 AND delay < 60 AND origin IN ('ATL', 'ORD')"));
      assert.equal(await page.locator('th[aria-sort=descending]').innerText(), 'Delay, min↓');
      assert.equal(await page.locator('[data-origin=ATL]').getAttribute('aria-pressed'), 'true');
    });
    await on_page("/?delay=x..9&hour=9..3&distance=1e9..2e9&origin=');DROP--&sort=-nonsense", async (page) => {
      assert.equal((await figures(page)).flights, (await figures_by_duck(duck, 'distance >= 2700')).flights);
    });
  });

  it('says that open ends hold what lies beyond', async () => {
    await on_page('/?delay=120..180', async (page) => {
      assert.deepEqual(await figures(page), await figures_by_duck(duck, 'delay >= 120'));
      assert.ok(await page.getByText('120 min and more').first().isVisible());
    });
  });

  it('asks the source again when told to refresh, and only for that panel', async () => {
    await on_page('/', async (page) => {
      assert.deepEqual(await badges(page), all('hit'));
      await page.getByRole('button', {name: 'Refresh Under these filters'}).click();
      await page.waitForSelector('#kpis [data-cache=miss]');
      await settled(page);
      assert.deepEqual(await badges(page), {...all('hit'), kpis: 'miss'});
      await page.getByRole('button', {name: 'Refresh all'}).click();
      await page.waitForSelector('#rows [data-cache=miss]');
      await settled(page);
      assert.deepEqual(await badges(page), all('miss'));
    });
  });

  it('sorts by a column head and turns pages', async () => {
    await on_page('/', async (page) => {
      const rows = async (offset) => (await duck.rows(`SELECT * FROM flights ORDER BY delay DESC, date, origin, destination, distance LIMIT 50 OFFSET ${offset}`))
        .map((row) => [row.date.slice(0, 16), row.origin, row.destination, count(row.distance), signed(row.delay)]);
      await page.click('[data-sort=delay]');
      await settled(page);
      assert.deepEqual(await table(page, 'rows'), await rows(0));
      await page.getByRole('button', {name: 'Next'}).click();
      await settled(page);
      assert.deepEqual(await table(page, 'rows'), await rows(50));
      assert.match(await page.locator('.pager').innerText(), /Rows 51–100 of 3,000,000/);
      assert.equal(new URL(page.url()).searchParams.get('sort'), '-delay');
    });
  });

  it('can be used by keyboard alone', async () => {
    await on_page('/', async (page) => {
      const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim());
      const tab_to = async (name) => {
        for (let i = 0; i < 60; ++i) {
          await page.keyboard.press('Tab');
          if ((await focus()).startsWith(name)) return;
        }
        assert.fail(`${name} cannot be reached by Tab`);
      };
      await page.keyboard.press('Tab');
      assert.equal(await focus(), 'Skip to content');
      await page.keyboard.press('Enter');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'main');

      await tab_to('Arrival delay from');
      for (let i = 0; i < 9; ++i) await page.keyboard.press('ArrowRight');
      await tab_to('Arrival delay to');
      for (let i = 0; i < 9; ++i) await page.keyboard.press('ArrowLeft');
      await settled(page);
      assert.deepEqual(interval(page, 'delay'), [30, 90]);
      assert.deepEqual(await figures(page), await figures_by_duck(duck, 'delay >= 30 AND delay < 90'));

      await tab_to('Show Busiest origins as table');
      await page.keyboard.press('Enter');
      const [[origin]] = await table(page, 'origins');
      await page.keyboard.press('Enter');
      await tab_to(`${origin},`);
      await page.keyboard.press('Enter');
      await settled(page);
      assert.deepEqual(await figures(page), await figures_by_duck(duck, `delay >= 30 AND delay < 90 AND origin = '${origin}'`));

      await tab_to('Distance, mi');
      await page.keyboard.press('Enter');
      await settled(page);
      assert.equal(await page.locator('th[aria-sort=descending]').innerText(), 'Distance, mi↓');
      await tab_to('Flights; page up');
      await page.keyboard.press('PageDown');
      await page.getByText('Rows 51–100').waitFor();
    });
  });

  it('does not wait for answers that nobody wants any more', async () => {
    await on_page('/', async (page) => {
      let given_up = 0;
      page.on('requestfailed', () => ++given_up);
      let hold = true;
      await page.route('**/api/v1/query', async (route) => {
        if (hold) await new Promise((resolve) => setTimeout(resolve, 400));
        await route.continue().catch(() => undefined);
      });
      await brush(page, 'delay', [0, 60], DELAY);
      await brush(page, 'delay', [100, 150], DELAY);
      hold = false;
      await settled(page);
      await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
      assert.ok(given_up > 0, 'no request was given up');
      assert.deepEqual(interval(page, 'delay'), [100, 150]);
      assert.deepEqual(await figures(page), await figures_by_duck(duck, 'delay >= 100 AND delay < 150'));
    });
  });

  it('shows an error as a sentence with its request, keeps the old figures, and tries again', async () => {
    const page = await open_page(browser, larder.url);
    await settled(page);
    await page.route('**/api/v1/query', (route) => route.fulfill({
      status: 503, contentType: 'application/json', headers: {'X-Request-Id': 'r-17'},
      body: JSON.stringify({error: {code: 'unavailable', message: 'The source flights is away.', request_id: 'r-17'}}),
    }));
    await page.click('[data-origin=ORD]');
    const problem = page.locator('#kpis [role=alert]');
    await problem.waitFor();
    assert.match(await problem.innerText(), /The source flights is away\.[^]*r-17[^]*unavailable/);
    assert.equal((await figures(page)).flights, '3,000,000');
    await page.unroute('**/api/v1/query');
    await problem.getByRole('button', {name: 'Try again'}).click();
    await problem.waitFor({state: 'detached'});
    assert.equal((await figures(page)).flights, (await figures_by_duck(duck, "origin = 'ORD'")).flights);
    await page.route('**/api/v1/query', (route) => route.abort());
    await page.getByRole('button', {name: 'Refresh Distance'}).click();
    await page.locator('#distance [role=alert]').getByText('Larder cannot be reached').waitFor();
    // The browser itself writes failed requests on the console; nothing else may stand there.
    assert.deepEqual(page.complaints.filter((text) => !/Failed to load resource/.test(text)), []);
    await page.context().close();
  });

  it('says so when the filters leave nothing', async () => {
    await on_page('/?distance=2700..2800&origin=BUR', async (page) => {
      assert.deepEqual(await figures(page), await figures_by_duck(duck, "distance >= 2700 AND origin = 'BUR'"));
      assert.equal((await figures(page)).flights, '0');
      assert.ok(await page.locator('#rows').getByText('No flights under these filters.').isVisible());
    });
  });

  it('fits a phone and a wide screen, in light and in dark', async () => {
    for (const [name, look] of Object.entries({
      'wide-light': {width: 1440}, 'wide-dark': {width: 1440, dark: true}, 'narrow-light': {width: 390, height: 844}, 'narrow-dark': {width: 390, height: 844, dark: true},
    })) {
      await on_page('/?delay=30..90', async (page) => {
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`);
        await page.screenshot({path: join(PICTURES, `flights-${name}.png`), fullPage: true});
      }, look);
    }
  });

  it('turns between light and dark and remembers it', async () => {
    await on_page('/', async (page) => {
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await ground();
      const button = page.getByRole('button', {name: /^Colours/});
      await button.click();
      assert.equal(await ground(), light);
      await button.click();
      assert.notEqual(await ground(), light);
      await page.reload();
      await settled(page);
      assert.notEqual(await ground(), light);
    });
  });

  it('is served under a strict policy, with its assets for good', async () => {
    const index = await fetch(larder.url);
    const policy = index.headers.get('Content-Security-Policy');
    assert.match(policy, /default-src 'self'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy.replace(/style-src[^;]*/, ''), /unsafe|\*/);
    assert.equal(index.headers.get('X-Content-Type-Options'), 'nosniff');
    const again = await fetch(larder.url, {headers: {'If-None-Match': index.headers.get('ETag')}});
    assert.equal(again.status, 304);
    const script = (await index.text()).match(/src="(\/assets\/[^"]+\.js)"/)[1];
    const asset = await fetch(larder.url + script, {headers: {'Accept-Encoding': 'br'}});
    assert.match(asset.headers.get('Cache-Control'), /immutable/);
    assert.equal(asset.headers.get('Content-Encoding'), 'br');
  });
});
