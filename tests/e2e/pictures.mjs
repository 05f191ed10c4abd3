// Takes the pictures of docs/images anew: the dashboard with filters set and answers from the cache, light and dark.
import {mkdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {close_page, open_browser, open_page, settled} from './browser.mjs';
import {ROOT, make_folder, start_larder, write_config} from './larder.mjs';

const folder = join(ROOT, 'docs/images');
mkdirSync(folder, {recursive: true});
const larder = await start_larder(write_config(make_folder()));
const browser = await open_browser();
try {
  for (const [name, dark] of [['light', false], ['dark', true]]) {
    const page = await open_page(browser, `${larder.url}/?delay=30..120&hour=14..22&sort=-delay`, {width: 1280, height: 800, dark});
    await settled(page);
    await page.reload();
    await settled(page);
    const path = join(folder, `flights-${name}.png`);
    await page.screenshot({path, fullPage: true});
    console.log(`${path}: ${Math.round(statSync(path).size / 1024)} KiB`);
    await close_page(page);
  }
} finally {
  await browser.close();
  await larder.stop();
}
