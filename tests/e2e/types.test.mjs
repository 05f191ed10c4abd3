// The Arrow streams that Larder sends, read by two readers that Larder has no part in: both must find what DuckDB has.
import assert from 'node:assert/strict';
import {after, before, describe, it} from 'node:test';
import {tableFromIPC as flechette} from '@uwdata/flechette';
import {tableFromIPC as apache_arrow} from 'apache-arrow';
import {open_duck} from './duck.mjs';
import {ask, make_folder, start_larder, write_config} from './larder.mjs';

let duck, larder;

before(async () => {
  duck = await open_duck();
  larder = await start_larder(write_config(make_folder()));
});
after(async () => {
  await larder?.stop();
  duck?.close();
});

const arrow = async (sql) => (await ask(larder.url, sql, {format: 'arrow'})).body;

// What a reader makes of a value, made comparable: dates as text, BigInts and typed arrays as plain ones.
const plain = (value) => {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object' && typeof value.toArray === 'function') return Array.from(value.toArray(), plain);
  if (ArrayBuffer.isView(value) || Array.isArray(value)) return Array.from(value, plain);
  return value;
};
const read = {
  'flechette': (bytes) => flechette(new Uint8Array(bytes), {useDate: true}).toArray().map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, plain(v)]))),
  'apache-arrow': (bytes) => apache_arrow(bytes).toArray().map((row) => Object.fromEntries(Object.entries(row.toJSON()).map(([k, v]) => [k, plain(v)]))),
};

describe('Arrow answers', () => {
  for (const [reader, rows_of] of Object.entries(read)) {
    it(`are read by ${reader}: numbers, text, nulls`, async () => {
      const sql = `SELECT origin, count(*) AS n, avg(delay) AS delay, max(distance) > 4000 AS far, nullif(origin, 'ATL') AS other,
                   CAST(min(delay) AS SMALLINT) AS low, CAST(avg(distance) AS FLOAT) AS mean FROM flights GROUP BY origin ORDER BY n DESC, origin`;
      assert.deepEqual(rows_of(await arrow(sql)), await duck.rows(sql));
    });

    it(`are read by ${reader}: many chunks, none lost and in their order`, async () => {
      const sql = 'SELECT delay, origin FROM flights WHERE distance > 2300 ORDER BY date, delay, origin, destination, distance';
      const [got, wanted] = [rows_of(await arrow(sql)), await duck.rows(sql)];
      assert.ok(wanted.length > 50_000);
      assert.equal(got.length, wanted.length);
      assert.deepEqual(got, wanted);
    });

    it(`are read by ${reader}: no rows, with their columns`, async () => {
      assert.deepEqual(rows_of(await arrow("SELECT origin, delay FROM flights WHERE origin = 'nowhere'")), []);
    });
  }

  it('keep moments of time', async () => {
    const [row] = read.flechette(await arrow('SELECT min(date) AS first, max(date) AS last FROM flights'));
    assert.deepEqual(row, {first: '2001-01-01T00:01:00.000Z', last: '2001-07-01T00:00:00.000Z'});
  });
});
