// A real browser on the page, and the few words the tests need to talk about what it shows.
import assert from 'node:assert/strict';
import {chromium} from 'playwright-core';

const CHROMIUM = process.env.LARDER_CHROMIUM ?? '/usr/bin/chromium';
const QUIET = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync'];

export const open_browser = () => chromium.launch({executablePath: CHROMIUM, args: QUIET});

/**
 * A page that remembers what it complained about: errors in scripts, on the console, against the content security policy, and requests
 * to other hosts than its own.
 */
export async function open_page(browser, address, {width = 1440, height = 900, dark = false} = {}) {
  const context = await browser.newContext({viewport: {width, height}, colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce'});
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`script: ${error.message}`));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith('data:') && new URL(request.url()).host !== new URL(address).host) page.complaints.push(`foreign request: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(address);
  return page;
}

/** Closes a page and holds its complaints against it. */
export async function close_page(page) {
  await page.context().close();
  assert.deepEqual(page.complaints, []);
}

/** Waits until every panel has its answer and has drawn it. */
export async function settled(page) {
  await page.waitForFunction(() => {
    const panels = [...document.querySelectorAll('larder-flights section.panel')];
    const badges = document.querySelectorAll('larder-flights larder-badge [data-cache]');
    return panels.length === 6 && badges.length === 6 && panels.every((panel) => panel.getAttribute('aria-busy') === 'false');
  }, undefined, {timeout: 30_000, polling: 30});
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** What the badges say: {kpis: 'hit', delay: 'miss', ...} */
export const badges = (page) => page.evaluate(() => Object.fromEntries(
  [...document.querySelectorAll('larder-badge [data-cache]')].map((badge) => [badge.closest('[id]:not(h2):not(larder-badge)').id, badge.dataset.cache])));

/** The figures as shown: {flights: '3,000,000', delay: '6.7', ...} */
export const figures = (page) => page.evaluate(() => Object.fromEntries(
  [...document.querySelectorAll('[data-kpi]')].map((kpi) => [kpi.dataset.kpi, kpi.querySelector('.value').textContent])));

/** The rows of the table that a panel shows, as texts. */
export const table = (page, panel) => page.evaluate((id) =>
  [...document.querySelectorAll(`#${id} tbody tr`)].map((row) => [...row.children].map((cell) => cell.textContent.trim())), panel);

/** Drags a brush over a histogram, from one value to another, by mouse. */
export async function brush(page, panel, [from, to], [low, high]) {
  const box = await page.locator(`#${panel} .overlay`).boundingBox();
  const x = (value) => box.x + (value - low) / (high - low) * box.width;
  const y = box.y + box.height / 2;
  await page.mouse.move(x(from), y);
  await page.mouse.down();
  for (let step = 1; step <= 12; ++step) await page.mouse.move(x(from + (to - from) * step / 12), y);
  await page.mouse.up();
}

/** The interval of a filter as the address has it, e.g. [30, 90]. */
export const interval = (page, name) => new URL(page.url()).searchParams.get(name)?.split('..').map(Number) ?? null;
