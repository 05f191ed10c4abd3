// The parts of Larder's HTTP API that the admin page reads, as types, and how to ask for them.
import {reach} from './connector.js';

export interface Stats {
  readonly store: {readonly path: string} & Readonly<Record<string, number | string | boolean | null>>;
  readonly query: {hits: number, misses: number, shared: number, errors: number, running: number, saved_ms: number};
  readonly server: {version: string, started_ms: number, requests: number, uptime_ms: number};
  readonly history: readonly Point[];
}

/** The counters as they stood at `t`, in ms since 1970. */
export interface Point {
  readonly t: number;
  readonly hits: number;
  readonly misses: number;
  readonly entries: number;
  readonly disk_bytes: number;
  readonly saved_ms: number;
}

export interface Source {
  readonly name: string;
  readonly kind: string;
  readonly format: string;
  readonly files: number;
  readonly bytes: number;
  readonly version: string;
  readonly columns: readonly {name: string, type: string}[];
  readonly error?: string;
}

export interface Entry {
  readonly key: string;
  readonly key_base64?: string;
  readonly sequence: number;
  readonly kind: 'query' | 'value';
  readonly bytes: number;
  readonly stored_ms: number;
  readonly expires_ms: number | null;
  readonly sql?: string;
  readonly source?: string;
  readonly reads?: readonly string[] | number;
  readonly rows?: number;
  readonly cost_ms?: number;
  readonly created_ms?: number;
  readonly version?: string;
}

export const read_stats = () => read<Stats>('/api/v1/stats');
export const read_sources = async () => (await read<{sources: Source[]}>('/api/v1/sources')).sources;

/** The entries, oldest first, at most `most` of them. `more`: there are others. */
export async function read_entries(most: number): Promise<{entries: Entry[], more: boolean}> {
  const entries: Entry[] = [];
  let after: number | null = null;
  while (entries.length < most) {
    const page: {entries: Entry[], next: number | null} =
      await read(`/api/v1/entries?limit=${Math.min(1000, most - entries.length)}${after === null ? '' : `&after=${after}`}`);
    entries.push(...page.entries);
    after = page.next;
    if (after === null) break;
  }
  return {entries, more: after !== null};
}

/** Evicts the entry with this key, or all. Tells how many went. */
export async function evict(key?: string | Uint8Array): Promise<number> {
  const response = await reach(`/api/v1/entries${key === undefined ? '' : `/${percent_encode(key)}`}`, {method: 'DELETE'});
  return (await response.json()).evicted;
}

const percent_encode = (key: string | Uint8Array) => typeof key === 'string'
  ? encodeURIComponent(key)
  : Array.from(key, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

const read = async <T>(path: string): Promise<T> => (await reach(path)).json();
