// A histogram that is also a filter: brush it with the mouse or a finger, or move its two sliders with the keyboard.
//
// vgplot draws it, Plot's brush is its brush. Two things are our own. The bins are fixed edges, asked for by number, so no query for the
// data's extent comes first and the bars stay in place as filters change. And the brush moves in whole bins: see filters.ts for why.
import {html, nothing} from 'lit';
import {customElement, property, query} from 'lit/decorators.js';
import {Interval1D, Mark, Plot} from '@uwdata/mosaic-plot';
import {Query, count as count_all, literal, sql} from '@uwdata/mosaic-sql';
import type {FilterExpr} from '@uwdata/mosaic-sql';
import type {QueryError} from '@uwdata/mosaic-core';
import type {Answer, Asker} from './connector.js';
import {coordinator} from './coordinator.js';
import {edge_label, interval_label} from './filters.js';
import type {Dimension, Filters, Interval} from './filters.js';
import {compact, count} from './format.js';
import {LarderPanel} from './panel.js';
import type {PlainTable, Rows, Watcher} from './panel.js';

const MARGIN = {left: 46, right: 20, top: 22, bottom: 28};
const HEIGHT = 198;

/** The bars. Asks for counts by bin number; knows every edge before the first answer. */
class BinnedMark extends Mark implements Asker {
  readonly counts: number[];

  constructor(readonly dimension: Dimension, filters: Filters, private readonly watcher: Watcher) {
    super('rectY', {table: 'flights', options: {filterBy: filters.selection}}, {x1: 'x1', x2: 'x2', y: 'y', fill: 'currentColor', insetLeft: 0.5, insetRight: 0.5});
    this.counts = new Array<number>(bins(dimension)).fill(0);
    this.fill();
  }

  override async prepare() {}  // Mosaic would ask for types and extents; both are known

  override query(filter: FilterExpr = []) {
    const {value, from, step, open_below, open_above} = this.dimension;
    const last = bins(this.dimension) - 1;
    let bin = sql`floor((${value} - ${literal(from)}) / ${literal(step)})`;
    if (open_above) bin = sql`least(${bin}, ${literal(last)})`;
    if (open_below) bin = sql`greatest(${bin}, ${literal(0)})`;
    return Query.from('flights').select({bin: sql`CAST(${bin} AS INTEGER)`, flights: count_all()}).where(filter).groupby('bin');
  }

  override queryPending() {
    this.watcher.asked();
    return super.queryPending();
  }
  answered(answer: Answer) {
    this.watcher.answered(answer);
  }
  override queryResult(rows: Rows) {
    this.counts.fill(0);
    for (const row of rows.toArray()) if (row['bin'] >= 0 && row['bin'] < this.counts.length) this.counts[row['bin']] = row['flights'];
    this.fill();
    this.watcher.drawn();
    return this;
  }
  override queryError(error: QueryError) {
    this.watcher.failed(error);
    return this;
  }

  private fill() {
    const {from, step} = this.dimension;
    const columns = {x1: this.counts.map((_, bin) => from + bin * step), x2: this.counts.map((_, bin) => from + (bin + 1) * step), y: [...this.counts]};
    this.data = {numRows: this.counts.length, columns};
  }
}

/** A brush that moves in whole bins: it tells the filters where the hand is, and stands where they say. */
class BinBrush extends Interval1D {
  private held = false;  // a hand is on it
  private bars: readonly Element[] = [];

  constructor(mark: BinnedMark, private readonly filters: Filters) {
    super(mark, {channel: 'x', selection: filters.selection, field: mark.dimension.name});
    this.brush.on('start', () => { this.held = true; });
    this.brush.on('brush end', ({type, selection}: {type: string, selection: Interval | null}) => {
      this.held = type !== 'end';
      const {dimension} = this.mark as BinnedMark;
      this.filters.set_interval(dimension, selection && [this.scale.invert(selection[0]), this.scale.invert(selection[1])], !this.held);
      this.show();
    });
  }

  override activate() {}  // a preview for pre-aggregation, which is off

  show() {
    const {dimension} = this.mark as BinnedMark;
    const interval = this.filters.interval(dimension.name);
    this.value = interval ?? undefined;
    if (this.g) {
      // The whole dimension is no filter, yet the hand must not lose its brush when it comes by there.
      const shown = interval ?? (this.held ? [dimension.from, dimension.to] : null);
      this.g.call(this.brush.moveSilent, shown?.map(this.scale.apply) ?? null);
    }
    // Bars inside keep the accent. Classes on what is drawn: drawing anew would take the brush out of the hand that holds it.
    const {from, step} = dimension;
    this.bars.forEach((bar, bin) => {
      const at = from + bin * step;
      bar.classList.toggle('out', interval !== null && !(at >= interval[0] && at < interval[1]));
    });
  }

  override init(svg: SVGSVGElement, root: unknown) {
    super.init(svg, root);
    this.bars = [...svg.querySelectorAll('[data-index="0"] rect')];
    this.show();
  }
}

@customElement('larder-histogram')
export class LarderHistogram extends LarderPanel {
  @property({attribute: false}) dimension!: Dimension;
  @property({attribute: false}) filters!: Filters;
  @query('.chart') private chart!: HTMLElement;

  private mark!: BinnedMark;
  private brush!: BinBrush;
  private plot!: Plot;
  private readonly resized = new ResizeObserver(([entry]) => this.fit(entry!.contentRect.width));
  private readonly follow = () => {
    this.brush.show();
    this.requestUpdate();
  };

  protected clients() {
    return this.mark ? [this.mark] : [];
  }

  override connectedCallback() {
    super.connectedCallback();
    const {dimension, filters} = this;
    this.heading = dimension.title;
    this.plot = new Plot();
    this.mark = new BinnedMark(dimension, filters, this);
    filters.exempt(dimension.name, this.mark);
    this.plot.addMark(this.mark);
    this.brush = new BinBrush(this.mark, filters);
    this.plot.addInteractor(this.brush);
    for (const [name, value] of Object.entries({
      height: HEIGHT, marginLeft: MARGIN.left, marginRight: MARGIN.right, marginTop: MARGIN.top, marginBottom: MARGIN.bottom,
      xDomain: [dimension.from, dimension.to], xLabel: null, yLabel: null, yGrid: true, yTicks: 4, yTickFormat: compact, yTickSize: 0, xTickSize: 4,
      xTicks: ticks(dimension), xTickFormat: (value: number) => tick_label(dimension, value),
    })) this.plot.setAttribute(name, value);
    filters.addEventListener('change', this.follow);
    coordinator.connect(this.mark);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.filters.removeEventListener('change', this.follow);
    this.resized.disconnect();
  }

  protected override firstUpdated() {
    this.chart.append(this.plot.element);
    this.resized.observe(this.chart);
  }

  private fit(width: number) {
    // Out of sight, or squeezed for a moment while the page is laid out: nothing to draw for.
    if (width > 2 * (MARGIN.left + MARGIN.right) && this.plot.setAttribute('width', Math.round(width))) void this.plot.update();
  }

  protected override view() {
    const {dimension, filters} = this;
    const {from, to, step} = dimension;
    const interval = filters.interval(dimension.name);
    const [low, high] = interval ?? [from, to];
    const slider = (end: 'from' | 'to', value: number) => html`
      <input type="range" min=${from} max=${to} step=${step} .value=${String(value)} aria-label="${dimension.title} ${end}"
             aria-valuetext="${edge_label(dimension, value)} ${dimension.unit === 'h' ? '' : dimension.unit}"
             @input=${(event: InputEvent) => this.slide(end, event.target as HTMLInputElement, false)}
             @change=${(event: Event) => this.slide(end, event.target as HTMLInputElement, true)}>`;
    return html`
      <div class="chart" role="img" aria-label="${dimension.title}: flights in each interval. The sliders below filter; the table button shows the numbers."></div>
      ${interval ? html`<p class="picked">${interval_label(dimension, interval)}</p>` : nothing}
      <div class="sliders" role="group" aria-label="${dimension.title} filter" style="--low:${(low - from) / (to - from)};--high:${(high - from) / (to - from)}">
        ${slider('from', low)}${slider('to', high)}
      </div>`;
  }

  // The two sliders push each other rather than cross.
  private slide(end: 'from' | 'to', input: HTMLInputElement, settled: boolean) {
    const {dimension, filters} = this;
    const {from, to, step} = dimension;
    const value = Number(input.value);
    let [low, high] = filters.interval(dimension.name) ?? [from, to];
    if (end === 'from') {
      low = Math.min(value, to - step);
      high = Math.max(high, low + step);
    } else {
      high = Math.max(value, from + step);
      low = Math.min(low, high - step);
    }
    filters.set_interval(dimension, [low, high], settled);
    input.value = String(end === 'from' ? low : high);
  }

  protected override table(): PlainTable {
    const {dimension, mark} = this;
    const {from, step} = dimension;
    return {
      head: [dimension.title, 'Flights'],
      rows: (mark?.counts ?? []).map((flights, bin) => [interval_label(dimension, [from + bin * step, from + (bin + 1) * step]), count(flights)]),
    };
  }
}

const bins = ({from, to, step}: Dimension) => Math.round((to - from) / step);

const ticks = ({name, from, to}: Dimension) =>
  name === 'hour' ? [0, 6, 12, 18, 24] : name === 'delay' ? [-60, 0, 60, 120, 180] : [from, 700, 1400, 2100, to];

const tick_label = (dimension: Dimension, value: number) =>
  dimension.unit === 'h' ? String(value) : edge_label(dimension, value) + (dimension.open_above && value === dimension.to ? '+' : '');
