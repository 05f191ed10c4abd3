// DuckDB asked directly, with nothing of Larder in between: the judge of every number the page shows.
//
// npm has DuckDB's node bindings as one bare addon, a face of its C API without a reader of values. So each question is wrapped to
// answer with one JSON text, and that one string is all that has to be read out of a result's memory.
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

const require = createRequire(import.meta.url);
const duckdb = require('@duckdb/node-bindings-linux-x64/duckdb.node');

export const FLIGHTS = fileURLToPath(new URL('../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url));

/** Opens a DuckDB of its own in memory, with the flights as a view `flights`. */
export async function open_duck(flights = FLIGHTS) {
  const database = await duckdb.open(':memory:');
  const connection = await duckdb.connect(database);
  await duckdb.query(connection, `CREATE VIEW flights AS SELECT * FROM read_parquet('${flights.replaceAll("'", "''")}')`);
  return {
    /** The rows of `sql`, as objects. */
    async rows(sql) {
      const result = await duckdb.query(connection, `SELECT coalesce(CAST(to_json(list(t)) AS VARCHAR), '[]') FROM (${sql}) t`);
      const chunk = await duckdb.fetch_chunk(result);
      return JSON.parse(string_at(duckdb.vector_get_data(duckdb.data_chunk_get_vector(chunk, 0), 16)));
    },
    close() {
      duckdb.disconnect_sync(connection);
      duckdb.close_sync(database);
    },
  };
}

// duckdb_string_t: four bytes of length, then the text itself when it has at most 12 bytes, else 4 bytes of prefix and a pointer.
function string_at(cell) {
  const length = cell.readUInt32LE(0);
  const bytes = length <= 12 ? cell.subarray(4, 4 + length) : duckdb.get_data_from_pointer(cell.buffer, cell.byteOffset + 8, length);
  return Buffer.from(bytes).toString('utf8');
}
