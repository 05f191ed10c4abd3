// How the page asks: Mosaic's connector, speaking Larder's `POST /api/v1/query`, and what each answer says about itself.
//
// Mosaic knows a connector as "SQL in, Arrow bytes out". A dashboard in front of a cache wants more: was this answer kept or computed,
// how old is it, what did it cost? Those facts stand in the headers, so the connector reads them and hands them to whoever asked. And it
// knows who asked: a newer question of the same asker aborts the older one, which makes the server give its query up.
import type {ArrowIPCBytes, ArrowQueryRequest, Connector, ConnectorQueryRequest, ExecQueryRequest} from '@uwdata/mosaic-core';

/** What one answer says about itself. Times are in milliseconds, ages in seconds. */
export interface Answer {
  readonly cache: 'hit' | 'shared' | 'miss';  // shared: computed once for several who asked at the same time
  readonly not_stored: string | null;         // why a fresh answer was not kept, e.g. "too-large"
  readonly age_s: number;                     // when it arrived; it grows from there
  readonly lookup_ms: number | null;          // finding it in the cache
  readonly source_ms: number | null;          // running the query, this time
  readonly cost_ms: number | null;            // running the query, when it was computed
  readonly round_trip_ms: number;             // as this page saw it
  readonly rows: number | null;
  readonly bytes: number;
  readonly request_id: string;
  readonly received: number;                  // Date.now() of the arrival
}

/** Somebody whose questions are his own: a newer one replaces an older one, and answers report to him. */
export interface Asker {
  answered?(answer: Answer): void;
}

/** What the server refused, or that it could not be reached. `code` is one of the API's, or "unreachable". */
export class LarderError extends Error {
  constructor(readonly code: string, message: string, readonly request_id: string | null = null, readonly status = 0) {
    super(message);
    this.name = 'LarderError';
  }
}

/** The question was taken back, because its asker has a newer one. */
export class Superseded extends Error {}

interface LarderRequest extends ArrowQueryRequest {
  asker?: Asker;
  max_age?: number;
}

export class LarderConnector implements Connector {
  private readonly open = new Map<Asker, AbortController>();

  constructor(private readonly path = '/api/v1/query') {}

  query(request: ArrowQueryRequest): Promise<ArrowIPCBytes>;
  query(request: ExecQueryRequest): Promise<void>;
  async query(request: ConnectorQueryRequest): Promise<ArrowIPCBytes | void> {
    if (request.type !== 'arrow') throw new LarderError('unsupported', `Larder only answers questions; it does not take "${request.type}".`);
    const {sql, asker, max_age} = request as LarderRequest;

    const control = new AbortController();
    if (asker) {
      this.take_back(asker);
      this.open.set(asker, control);
    }
    try {
      const started = performance.now();
      const response = await reach(this.path, {
        method: 'POST',
        headers: {'Content-Type': 'application/json', 'Accept': 'application/vnd.apache.arrow.stream'},
        body: JSON.stringify({sql, format: 'arrow', max_age}),
        signal: control.signal,
      });
      const bytes = await response.arrayBuffer();
      asker?.answered?.(read_answer(response.headers, performance.now() - started, bytes.byteLength));
      return bytes;
    } catch (error) {
      throw control.signal.aborted ? new Superseded() : error;
    } finally {
      if (asker && this.open.get(asker) === control) this.open.delete(asker);
    }
  }

  /** Gives up what `asker` still waits for, or what anybody does. */
  take_back(asker?: Asker): void {
    if (asker) this.open.get(asker)?.abort();
    else for (const control of this.open.values()) control.abort();
  }
}

/** fetch, where everything but a good answer is a LarderError that says what to tell the reader. */
export async function reach(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {credentials: 'same-origin', cache: 'no-store', ...init});
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new LarderError('unreachable', 'Larder cannot be reached. Is it still running?');
  }
  if (response.ok) return response;
  const request_id = response.headers.get('X-Request-Id');
  const told = await response.json().then((body) => body?.error, () => null) as {code?: string; message?: string; request_id?: string} | null;
  throw new LarderError(told?.code ?? 'failed', told?.message ?? `The server answered ${response.status} ${response.statusText}`.trim() + '.',
                        told?.request_id ?? request_id, response.status);
}

/** Reads RFC 9211 Cache-Status, Age, Server-Timing and Larder's own headers. */
export function read_answer(headers: Headers, round_trip_ms: number, bytes: number): Answer {
  const [, ...status] = (headers.get('Cache-Status') ?? '').split(';').map((word) => word.trim());
  const said = new Map(status.map((word) => word.split('=', 2) as [string, string | undefined]));
  const timing = new Map<string, number>();
  for (const part of (headers.get('Server-Timing') ?? '').split(',')) {
    const [name, ...attributes] = part.split(';').map((word) => word.trim());
    const duration = attributes.find((word) => word.startsWith('dur='));
    if (name && duration) timing.set(name, Number(duration.slice(4)));
  }
  return {
    cache: said.has('hit') ? 'hit' : said.has('collapsed') ? 'shared' : 'miss',
    not_stored: said.get('detail')?.replaceAll('"', '') ?? null,
    age_s: number_in(headers, 'Age') ?? 0,
    lookup_ms: timing.get('lookup') ?? null,
    source_ms: timing.get('source') ?? null,
    cost_ms: number_in(headers, 'X-Larder-Cost-Ms'),
    round_trip_ms,
    rows: number_in(headers, 'X-Larder-Rows'),
    bytes,
    request_id: headers.get('X-Request-Id') ?? '',
    received: Date.now(),
  };
}

function number_in(headers: Headers, name: string): number | null {
  const text = headers.get(name);
  const value = text === null || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
