// usage: node readers.mjs FOLDER
//
// Reads FOLDER/values.arrow with apache-arrow and with flechette. Column by column (one for each row of
// docs/format/types.md, in page.json), both must find the value that DuckDB's own text of it (texts.json) stands for, in
// rows of several batches, and null where nothing is.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {tableFromIPC as flechette} from '@uwdata/flechette';
import {tableFromIPC as apache} from 'apache-arrow';

const folder = process.argv[2];
const bytes = readFileSync(join(folder, 'values.arrow'));
const texts = JSON.parse(readFileSync(join(folder, 'texts.json'), 'utf8')).rows[0];
const page = JSON.parse(readFileSync(join(folder, 'page.json'), 'utf8'));

// Whatever a reader gives, as values that can be compared: BigInts as text, moments as milliseconds, bytes as hex.
const plain = (value) => {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object') return value;
  if (value instanceof Date) return value.getTime();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (ArrayBuffer.isView(value) || Array.isArray(value)) return Array.from(value, plain);
  if (typeof value.isValid === 'function') return Array.from(value, plain);  // a vector; its toArray() forgets nulls
  if (typeof value.toJSON === 'function') return plain(value.toJSON());
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
};

// apache-arrow gives a decimal as four words of 32 bits, the low one first.
const from_words = (words) =>
  String(BigInt.asIntN(128, Array.from(words).reduceRight((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n)));

const nanos_of_day = (text) => {
  const [, h, m, s, fraction = ''] = /(\d+):(\d+):(\d+)(?:\.(\d+))?/.exec(text);
  return (BigInt(h) * 3600n + BigInt(m) * 60n + BigInt(s)) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
};
const nanos_per = {s: 1_000_000_000n, ms: 1_000_000n, us: 1_000n, ns: 1n};

// The value for a text of DuckDB's; for what is nested, the page's JSON says it more plainly.
const value_of = (type, text, json) => {
  const [, unit] = /\((s|ms|us|ns)\b/.exec(type) ?? [];
  if (type === 'bool') return text === 'true';
  if (/^u?int64$/.test(type)) return text;
  if (/^u?int(8|16|32)$/.test(type)) return Number(text);
  if (type === 'float32') return Math.fround(Number(text));
  if (type === 'float64') return {nan: NaN, '-inf': -Infinity}[text] ?? Number(text);
  if (/^decimal/.test(type)) return BigInt(text.replace('.', '')).toString();
  if (type === 'utf8') return text;
  if (type === 'binary') return Buffer.from(JSON.parse(json), 'base64').toString('hex');
  if (type === 'date32') return Date.parse(JSON.parse(json));
  if (/^time64/.test(type)) return String(nanos_of_day(text) / nanos_per[unit]);
  if (/^timestamp/.test(type)) return Date.parse(`${text.slice(0, 10)}T00:00Z`) + Number(nanos_of_day(text.slice(11))) / 1e6;
  if (/^interval/.test(type)) return [14, -3, 1_500_000_000];
  if (/^map\(utf8/.test(type)) return Object.entries(JSON.parse(json));  // others are pairs in JSON too
  if (/^sparse_union/.test(type)) return Object.values(JSON.parse(json))[0];
  return JSON.parse(json);
};

// What a reader itself cannot give.
const beyond = {
  flechette: (what, type) => /infinite/.test(what) && !/float/.test(type) ||
    /^struct\(:/.test(type),  // two members of one name
  'apache-arrow': (what, type) => /infinite/.test(what) && !/float/.test(type) || /^struct\(:/.test(type) ||
    /^interval/.test(type),  // it has no intervals of months, days and nanoseconds
};

const tables = {
  flechette: flechette(bytes, {useBigInt: true, useDecimalInt: true, useDate: true, useMap: true}),
  'apache-arrow': apache(bytes),
};
let compared = 0;
for (const [reader, table] of Object.entries(tables)) {
  assert.equal(table.numRows, 5000, reader);
  assert.equal(table.numCols, page.length + 1, reader);
  for (const row of [0, 1, 2047, 2048, 4999]) assert.equal(String(table.getChild('i').at(row)), String(row));
  page.forEach(([what, type, json], n) => {
    const column = table.getChild(`c${n}`);
    const about = `${reader}: ${what}`;
    for (const row of [1, 2050, 4000]) assert.equal(column.at(row) ?? null, null, `${about}, row ${row}`);
    if (beyond[reader](what, type)) return;
    const wanted = texts[n + 1] === null ? null : value_of(type, texts[n + 1], json);
    for (const row of [0, 2, 2049, 4998]) {
      let got = column.at(row);
      if (/^map/.test(type)) got = [...got];
      got = reader === 'apache-arrow' && /^decimal/.test(type) ? from_words(got) : plain(got);
      if (/^timestamp/.test(type)) got = Math.floor(got);  // in milliseconds, with or without their fraction
      assert.deepEqual(got, /^timestamp/.test(type) ? Math.floor(wanted) : wanted, `${about}, row ${row}`);
      ++compared;
    }
  });
}
assert.ok(compared > 8 * (page.length - 6), `only ${compared} values were compared`);
console.log(`${compared} values compared`);
