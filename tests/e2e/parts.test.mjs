// The page's small parts, without a browser: how numbers are written, how an answer's headers are read, where brushes snap.
import assert from 'node:assert/strict';
import {before, describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';
import {build} from 'vite';

const source = (name) => fileURLToPath(new URL(`../../web/src/${name}.ts`, import.meta.url));

/** A module of the page, made into one that Node can load. */
async function load(name) {
  const [{output: [chunk]}] = [await build({
    configFile: false, logLevel: 'silent',
    resolve: {alias: {'@duckdb/duckdb-wasm': source('no-duckdb-wasm')}},
    ssr: {noExternal: true},
    build: {write: false, ssr: source(name), minify: false, rolldownOptions: {output: {codeSplitting: false}}},
  })].flat();
  return import(`data:text/javascript;base64,${Buffer.from(chunk.code).toString('base64')}`);
}

let format, connector, filters;
before(async () => {
  [format, connector, filters] = [await load('format'), await load('connector'), await load('filters')];
});

const table = (name, rows, of) => it(name, () => {
  for (const [given, wanted] of rows) assert.deepEqual(of(given), wanted, `of ${JSON.stringify(given)}`);
});

describe('numbers', () => {
  table('durations keep three digits or less', [[0.0123, '0.012 ms'], [0.5, '0.50 ms'], [4.21, '4.2 ms'], [132.4, '132 ms'], [999.7, '1.0 s'], [1400, '1.4 s'],
    [200_000, '3 min 20 s'], [7_500_000, '2 h 5 min'], [null, '–'], [Number.NaN, '–']], (ms) => format.duration(ms));
  table('ages', [[0, '0 s'], [59.9, '59 s'], [60, '1 min'], [61, '1 min 1 s'], [3599, '59 min'], [3600, '1 h'], [90_000, '1 d 1 h'], [-5, '0 s'], [undefined, '–']],
    (seconds) => format.age(seconds));
  table('sizes', [[0, '0 B'], [1023, '1,023 B'], [1024, '1.0 KiB'], [1_048_575, '1.0 MiB'], [13_493_022, '12.9 MiB'], [2 ** 50, '1,024.0 TiB']], (size) => format.bytes(size));
  table('signs', [[-13, '−13'], [1688, '1,688'], [0, '0']], (value) => format.signed(value));
});

describe("an answer's headers", () => {
  const read = (headers) => connector.read_answer(new Headers(headers), 5, 700);
  table('Cache-Status says hit, shared or miss', [
    ['larder; hit', ['hit', null]],
    ['larder; fwd=miss; stored', ['miss', null]],
    ['larder; fwd=miss; stored; collapsed', ['shared', null]],
    ['larder; fwd=miss; detail=too-large', ['miss', 'too-large']],
    ['larder;fwd=miss;detail="too-large"', ['miss', 'too-large']],
    ['', ['miss', null]],
  ], (status) => { const {cache, not_stored} = read({'Cache-Status': status}); return [cache, not_stored]; });
  it('Server-Timing and the rest are numbers, or null where they are not said', () => {
    const said = read({'Cache-Status': 'larder; hit', 'Server-Timing': 'lookup;dur=0.012, source;desc="x";dur=123.4', 'Age': '7', 'X-Larder-Rows': '24'});
    assert.deepEqual([said.lookup_ms, said.source_ms, said.age_s, said.rows, said.cost_ms], [0.012, 123.4, 7, 24, null]);
    assert.deepEqual([read({'X-Larder-Cost-Ms': 'x'}).cost_ms, read({}).lookup_ms, read({}).age_s], [null, null, 0]);
  });
});

describe('brushes', () => {
  const dimension = (name) => filters.DIMENSIONS.find((one) => one.name === name);
  table('snap to bins, one at least, and the whole is no filter', [
    [[33, 87], [30, 90]], [[41, 43], [40, 50]], [[-1000, 12], [-60, 10]], [[170, 9999], [170, 180]], [[9000, 9999], [170, 180]], [[-999, -900], [-60, -50]], [[-60, 180], null], [[-64, 184], null],
  ], (wanted) => filters.snap(dimension('delay'), wanted));
  table('read as people say it', [
    [['delay', [30, 60]], '30 to 60 min'], [['delay', [-60, 0]], 'under 0 min'], [['delay', [120, 180]], '120 min and more'], [['distance', [0, 500]], '0 to 500 mi'], [['hour', [6, 10]], '06:00 to 10:00'],
  ], ([name, interval]) => filters.interval_label(dimension(name), interval));
});
