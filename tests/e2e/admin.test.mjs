// The admin page in a real browser: what the cache holds, and the buttons that evict.
import assert from 'node:assert/strict';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, beforeEach, describe, it} from 'node:test';
import {close_page, open_browser, open_page} from './browser.mjs';
import {ROOT, ask, make_folder, start_larder, write_config} from './larder.mjs';

const PICTURES = join(ROOT, 'build/e2e');
const QUESTIONS = [
  'SELECT origin, count(*) AS n FROM flights GROUP BY origin ORDER BY n DESC LIMIT 5',
  'SELECT avg(delay) AS delay FROM flights',
  'SELECT max(distance) AS farthest FROM flights',
];

let larder, browser;

before(async () => {
  mkdirSync(PICTURES, {recursive: true});
  larder = await start_larder(write_config(make_folder()));
  browser = await open_browser();
});
after(async () => {
  await browser?.close();
  await larder?.stop();
});
beforeEach(async () => {
  await fetch(`${larder.url}/api/v1/entries`, {method: 'DELETE'});
  for (const sql of QUESTIONS) await ask(larder.url, sql);
});

async function on_admin(body, look) {
  const page = await open_page(browser, `${larder.url}/admin`, look);
  await page.waitForSelector('larder-entries tbody tr');
  await body(page);
  await close_page(page);
}

const shown = (page) => page.locator('larder-entries tbody code').evaluateAll((codes) =>
  codes.filter((code) => code.closest('summary')).map((code) => code.textContent.slice(0, 30)));
const figure = (page, name) => page.locator(`[data-figure=${name}] .value`).innerText();

describe('admin', () => {
  it('shows sizes, the hit rate, sources and entries', async () => {
    await ask(larder.url, QUESTIONS[0]);
    await on_admin(async (page) => {
      assert.equal(await figure(page, 'entries'), '3');
      assert.match(await figure(page, 'disk'), /^[\d.,]+ (KiB|MiB)$/);
      assert.match(await figure(page, 'hit-rate'), /^\d+\.\d%$/);
      assert.match(await page.locator('larder-history').innerText(), /[\d.]+% of \d+ queries came from the cache\./);
      assert.match(await figure(page, 'saved'), /^[\d.]+ (ms|s)$/);
      assert.match(await page.locator('.sources').innerText(), /flights\s+files\s+parquet\s+1 file, 12\.9 MiB, 5 columns/);
      await page.screenshot({path: join(PICTURES, 'admin-wide-light.png'), fullPage: true});
    });
  });

  it('sorts and searches entries, and shows a query whole', async () => {
    await on_admin(async (page) => {
      await page.fill('larder-entries input[type=search]', 'MAX distance');
      assert.deepEqual(await shown(page), [QUESTIONS[2].slice(0, 30)]);
      await page.locator('larder-entries summary').click();
      assert.equal(await page.locator('larder-entries pre').innerText(), QUESTIONS[2]);
      await page.fill('larder-entries input[type=search]', 'nothing like it');
      assert.ok(await page.getByText('Nothing matches this search.').isVisible());
      await page.fill('larder-entries input[type=search]', '');
      await page.click('larder-entries [data-sort=rows]');
      assert.deepEqual((await shown(page))[0], QUESTIONS[0].slice(0, 30));
      await page.click('larder-entries [data-sort=text]');
      assert.deepEqual(await shown(page), [...QUESTIONS].sort().map((sql) => sql.slice(0, 30)));
    });
  });

  it('evicts one entry, which is then computed again', async () => {
    await on_admin(async (page) => {
      assert.ok((await ask(larder.url, QUESTIONS[1])).hit);
      await page.getByRole('button', {name: `Evict ${QUESTIONS[1]}`}).click();
      await page.getByText('One entry evicted.').waitFor();
      assert.equal(await page.locator('larder-entries tbody tr').count(), 2);
      assert.ok(await page.evaluate(() => document.activeElement.matches('[data-evict]')), 'the focus is lost');
      assert.ok(!(await ask(larder.url, QUESTIONS[1])).hit);
      assert.ok((await ask(larder.url, QUESTIONS[0])).hit);
    });
  });

  it('evicts all, but asks first', async () => {
    await on_admin(async (page) => {
      await page.getByRole('button', {name: 'Evict all…'}).click();
      await page.getByRole('button', {name: 'Keep them'}).click();
      assert.equal(await page.locator('larder-entries tbody tr').count(), 3);
      await page.getByRole('button', {name: 'Evict all…'}).press('Enter');
      await page.keyboard.press('Escape');
      assert.equal(await page.locator('larder-entries tbody tr').count(), 3);
      await page.getByRole('button', {name: 'Evict all…'}).click();
      await page.locator('[data-evict-confirm]').click();
      await page.getByText('The cache is empty.').waitFor();
      await page.getByText('3 entries evicted.').waitFor();
      for (const sql of QUESTIONS) assert.ok(!(await ask(larder.url, sql)).hit);
    });
  });

  it('follows what others do, without being told to reload', async () => {
    await on_admin(async (page) => {
      await ask(larder.url, 'SELECT min(date) AS first FROM flights');
      await page.getByText('SELECT min(date) AS first').first().waitFor({timeout: 8000});
      await page.waitForFunction(() => document.querySelector('[data-figure=entries] .value').textContent === '4');
    });
  });

  it('fits a phone, in dark', async () => {
    await on_admin(async (page) => {
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
      await page.screenshot({path: join(PICTURES, 'admin-narrow-dark.png'), fullPage: true});
    }, {width: 390, height: 844, dark: true});
  });

  it('says when the server is away, and goes on when it is back', async () => {
    const page = await open_page(browser, `${larder.url}/admin`);
    await page.waitForSelector('larder-entries tbody tr');
    await page.route('**/api/**', (route) => route.abort());
    await page.getByText('Larder cannot be reached').waitFor({timeout: 8000});
    await page.unroute('**/api/**');
    await page.getByRole('button', {name: 'Try again'}).click();
    await page.getByText('Larder cannot be reached').waitFor({state: 'detached'});
    await page.context().close();
  });
});
