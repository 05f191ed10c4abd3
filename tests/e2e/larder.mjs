// Starts the real `larder serve` for a test, on a port of its own and a store of its own, and stops it by its pid.
import {spawn} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {Agent, request} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {FLIGHTS} from './duck.mjs';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const LARDER = process.env.LARDER_BIN ?? join(ROOT, 'build/release/bin/larder');

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A folder for a test's store and configuration; gone when the process ends. */
export function make_folder() {
  const folder = mkdtempSync(join(tmpdir(), 'larder-e2e-'));
  process.on('exit', () => rmSync(folder, {recursive: true, force: true}));
  return folder;
}

/** A configuration with the flights as a source and the store in the same folder; `more` is further YAML. */
export function write_config(folder, {size = '256MiB', more = '', flights = FLIGHTS} = {}) {
  const path = join(folder, 'larder.yaml');
  writeFileSync(path, `store:\n  path: store\n  size: ${size}\nserver:\n  listen: 127.0.0.1:0\nsources:\n  flights:\n    kind: files\n    path: ${JSON.stringify(flights)}\n${more}`);
  return path;
}

/** Starts a server and waits until it says where it is. */
export async function start_larder(config, ...more) {
  if (!existsSync(LARDER)) throw new Error(`${LARDER} is not there: build it (./dev build), or name it in LARDER_BIN`);
  const child = spawn(LARDER, ['serve', '--config', config, ...more], {stdio: ['ignore', 'pipe', 'pipe']});
  running.add(child);
  let out = '';
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const gone = new Promise((resolve) => child.once('exit', (code, signal) => {
    running.delete(child);
    resolve({code, signal});
  }));
  const url = await within(20_000, `${LARDER} did not say where it listens`, new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout.on('data', () => {
      const said = out.match(/^larder: (http:\/\/\S+?)\/?$/m);
      if (said) resolve(said[1]);
    });
    void gone.then(({code, signal}) => reject(new Error(`larder serve ended with ${code ?? signal}:\n${log}`)));
  }));
  return {
    url,
    pid: child.pid,
    log: () => log,
    /** Asks it to end, and checks that it drained and went without complaint. */
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const {code, signal} = await within(15_000, `larder serve (pid ${child.pid}) did not end`, gone).catch((error) => {
        child.kill('SIGKILL');
        throw error;
      });
      if (code !== 0) throw new Error(`larder serve ended with ${code ?? signal}:\n${log}`);
    },
  };
}

const agent = new Agent({keepAlive: true, noDelay: true});

/**
 * One query over HTTP, what the answer's headers say, and how long it took from the first byte sent to the last one read. By Node's plain
 * client and not by fetch, which takes longer than a cached answer does.
 */
export function ask(url, sql, more = {}) {
  const body = JSON.stringify({sql, format: 'json', ...more});
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/api/v1/query`, {method: 'POST', agent, headers: {'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body)}});
    const started = performance.now();
    asked.on('error', reject).on('response', (response) => {
      const chunks = [];
      response.on('error', reject).on('data', (chunk) => chunks.push(chunk)).on('end', () => {
        const ms = performance.now() - started;
        const bytes = Buffer.concat(chunks);
        if (response.statusCode !== 200) return reject(new Error(`${response.statusCode}: ${bytes}`));
        const status = response.headers['cache-status'] ?? '';
        resolve({body: (more.format ?? 'json') === 'json' ? JSON.parse(bytes) : bytes, ms, status, hit: /;\s*hit\b/.test(status), headers: new Headers(response.headers)});
      });
    });
    asked.end(body);
  });
}

export function within(ms, complaint, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${complaint} within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
