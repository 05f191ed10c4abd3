// What the reader has picked on the flights page: an interval for each dimension and a set of origins.
//
// One object holds it. Brushes, range inputs, bars, chips and the address all set it here and follow it from here, so none of them can
// disagree. It publishes each filter as a clause of one cross-filtering selection, which Mosaic turns into WHERE for every panel but the
// one that made it.
//
// Intervals lie on the edges of bins and are half open. So the numbers under a brush are exactly the sum of the bars inside it, and two
// people who brush by eye ask the same question, which the cache then has. At an open end of a dimension the edge means "and beyond".
import {Selection} from '@uwdata/mosaic-core';
import type {MosaicClient} from '@uwdata/mosaic-core';
import {and, column, isIn, literal, sql} from '@uwdata/mosaic-sql';
import type {ExprNode} from '@uwdata/mosaic-sql';
import {coordinator} from './coordinator.js';
import {signed} from './format.js';

/** A quantity that is shown as a histogram and filtered by an interval. */
export interface Dimension {
  readonly name: 'delay' | 'distance' | 'hour';
  readonly title: string;
  readonly unit: string;
  readonly value: ExprNode;  // what SQL calls it
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly open_below: boolean;  // the first bin also holds what is less
  readonly open_above: boolean;  // the last bin also holds what is more
}

export const DIMENSIONS: readonly Dimension[] = [
  {name: 'delay', title: 'Arrival delay', unit: 'min', value: column('delay'),
   from: -60, to: 180, step: 10, open_below: true, open_above: true},
  {name: 'distance', title: 'Distance', unit: 'mi', value: column('distance'),
   from: 0, to: 2800, step: 100, open_below: false, open_above: true},
  {name: 'hour', title: 'Hour of departure', unit: 'h', value: sql`hour(${column('date')})`,
   from: 0, to: 24, step: 1, open_below: false, open_above: false},
];

export type Interval = readonly [number, number];

export class Filters extends EventTarget {
  readonly selection = Selection.crossfilter();
  private readonly intervals = new Map<string, Interval>();
  private picked: readonly string[] = [];
  // Who publishes a filter, and which clients it doesn't apply to. One object each for the selection's life: clauses are told apart by it.
  private readonly sources = new Map<string, {clients: Set<MosaicClient>}>();

  interval(name: string): Interval | null {
    return this.intervals.get(name) ?? null;
  }
  get origins(): readonly string[] {
    return this.picked;
  }
  get any(): boolean {
    return this.intervals.size > 0 || this.picked.length > 0;
  }

  /** The panel that shows a filter is not filtered by it. */
  exempt(name: string, client: MosaicClient): void {
    this.source(name).clients.add(client);
  }

  /**
   * Sets or clears a dimension's interval, moved onto the edges of bins. `settled` says that the hand has come to rest: answers to where it
   * was on its way are not waited for.
   */
  set_interval(dimension: Dimension, wanted: Interval | null, settled = true): void {
    const interval = wanted && snap(dimension, wanted);
    if (!same(interval, this.interval(dimension.name))) {
      if (interval) this.intervals.set(dimension.name, interval);
      else this.intervals.delete(dimension.name);
      const terms: ExprNode[] = [];
      if (interval) {
        const [from, to] = interval;
        if (!(dimension.open_below && from === dimension.from)) terms.push(sql`${dimension.value} >= ${literal(from)}`);
        if (!(dimension.open_above && to === dimension.to)) terms.push(sql`${dimension.value} < ${literal(to)}`);
      }
      this.publish(dimension.name, interval, terms.length ? and(terms) : null);
    }
    if (settled) coordinator.catch_up(this.selection);
  }

  set_origins(origins: readonly string[]): void {
    this.picked = [...new Set(origins)].sort();
    this.publish('origin', this.picked, this.picked.length ? isIn('origin', this.picked.map((origin) => literal(origin))) : null);
    coordinator.catch_up(this.selection);
  }

  toggle_origin(origin: string): void {
    this.set_origins(this.picked.includes(origin) ? this.picked.filter((other) => other !== origin) : [...this.picked, origin]);
  }

  clear(): void {
    for (const dimension of DIMENSIONS) if (this.interval(dimension.name)) this.set_interval(dimension, null);
    if (this.picked.length) this.set_origins([]);
  }

  /** The filters as the query part of an address: `delay=30..60&origin=ATL,ORD`. */
  write(address: URLSearchParams): void {
    for (const {name} of DIMENSIONS) {
      const interval = this.interval(name);
      if (interval) address.set(name, interval.join('..'));
      else address.delete(name);
    }
    if (this.picked.length) address.set('origin', this.picked.join(','));
    else address.delete('origin');
  }

  /** Takes the filters of an address; what it doesn't understand there it leaves out. */
  read(address: URLSearchParams): void {
    for (const dimension of DIMENSIONS) {
      const [from, to, ...rest] = (address.get(dimension.name) ?? '').split('..').map((word) => word === '' ? Number.NaN : Number(word));
      const good = rest.length === 0 && Number.isFinite(from) && Number.isFinite(to) && from! < to!;
      this.set_interval(dimension, good ? [from!, to!] : null);
    }
    const origins = (address.get('origin') ?? '').split(',').filter((origin) => /^\w{1,8}$/.test(origin));
    if (origins.join() !== this.picked.join()) this.set_origins(origins);
  }

  private publish(name: string, value: unknown, predicate: ExprNode | null): void {
    const source = this.source(name);
    this.selection.update({source, clients: source.clients, fields: [], value, predicate});
    this.dispatchEvent(new Event('change'));
  }

  private source(name: string) {
    let source = this.sources.get(name);
    if (!source) this.sources.set(name, source = {clients: new Set()});
    return source;
  }
}

/** The interval's edges on the nearest edges of bins, at least one bin wide; the whole dimension is no filter. */
export function snap({from, to, step}: Dimension, wanted: Interval): Interval | null {
  const edge = (value: number) => Math.round((value - from) / step);
  const last = edge(to);
  let low = Math.min(Math.max(edge(wanted[0]), 0), last);
  let high = Math.min(Math.max(edge(wanted[1]), 0), last);
  if (low >= high) {
    low = Math.min(Math.max(Math.floor((wanted[0] - from) / step), 0), last - 1);
    high = low + 1;
  }
  return low === 0 && high === last ? null : [from + low * step, from + high * step];
}

/** An edge as people read it: −60, 2,800, and 06:00 for hours. */
export const edge_label = (dimension: Dimension, value: number) =>
  dimension.unit === 'h' ? `${String(value).padStart(2, '0')}:00` : signed(value);

/** An interval in words: "30 to 60 min", "180 min and more", "06:00 to 10:00". */
export function interval_label(dimension: Dimension, [from, to]: Interval): string {
  const unit = dimension.unit === 'h' ? '' : ` ${dimension.unit}`;
  const below = dimension.open_below && from === dimension.from;
  const above = dimension.open_above && to === dimension.to;
  if (below) return `under ${edge_label(dimension, to)}${unit}`;
  if (above) return `${edge_label(dimension, from)}${unit} and more`;
  return `${edge_label(dimension, from)} to ${edge_label(dimension, to)}${unit}`;
}

const same = (a: Interval | null, b: Interval | null) => a === b || (a !== null && b !== null && a[0] === b[0] && a[1] === b[1]);
