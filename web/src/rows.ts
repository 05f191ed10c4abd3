// The flights themselves, a page at a time: sorting and paging are ORDER BY, LIMIT and OFFSET, so three million rows cost what fifty do.
import {html, nothing} from 'lit';
import {customElement, property, state} from 'lit/decorators.js';
import {Query, asc, desc} from '@uwdata/mosaic-sql';
import {coordinator} from './coordinator.js';
import type {Filters} from './filters.js';
import {count, signed, timestamp} from './format.js';
import {LarderPanel, PanelClient} from './panel.js';

const PAGE = 50;

interface Column {
  readonly name: string;
  readonly title: string;
  readonly number: boolean;
  readonly show: (value: any) => string;
}

const COLUMNS: readonly Column[] = [
  {name: 'date', title: 'Departure', number: false, show: (value: Date | number) => timestamp(new Date(value))},
  {name: 'origin', title: 'Origin', number: false, show: String},
  {name: 'destination', title: 'Destination', number: false, show: String},
  {name: 'distance', title: 'Distance, mi', number: true, show: count},
  {name: 'delay', title: 'Delay, min', number: true, show: signed},
];

export interface Order {
  readonly by: string;
  readonly down: boolean;
}

/** "-delay" is delay, largest first; what it doesn't know is null. */
export function read_order(text: string | null): Order | null {
  const by = text?.replace(/^-/, '') ?? '';
  return COLUMNS.some(({name}) => name === by) ? {by, down: text!.startsWith('-')} : null;
}
export const write_order = ({by, down}: Order) => (down ? '-' : '') + by;

export const FIRST_ORDER: Order = {by: 'date', down: false};

@customElement('larder-rows')
export class LarderRows extends LarderPanel {
  @property({attribute: false}) filters!: Filters;
  @property({attribute: false}) order: Order = FIRST_ORDER;
  @property({attribute: false}) total: number | null = null;  // rows under the filters, as the figures above counted them

  @state() private offset = 0;
  @state() private rows: readonly Record<string, any>[] = [];

  private client: PanelClient | null = null;
  private shown = 0;  // the offset of `rows`
  private readonly start_over = () => (this.offset = 0);

  override connectedCallback() {
    super.connectedCallback();
    // Every column takes part in the order, so that equal ones stand in the same place on every page.
    const others = (by: string) => COLUMNS.map(({name}) => name).filter((name) => name !== by);
    this.client = new PanelClient(
      this.filters.selection, this,
      (filter) => Query.from('flights').select(...COLUMNS.map(({name}) => name)).where(filter)
        .orderby(this.order.down ? desc(this.order.by) : asc(this.order.by), ...others(this.order.by).map((name) => asc(name)))
        .limit(PAGE).offset(this.offset),
      (rows) => {
        this.rows = rows.toArray();
        this.shown = this.offset;
      });
    this.filters.addEventListener('change', this.start_over);
    coordinator.connect(this.client);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.filters.removeEventListener('change', this.start_over);
  }

  protected clients() {
    return this.client ? [this.client] : [];
  }

  private sort(by: string) {
    this.order = {by, down: this.order.by === by ? !this.order.down : by === 'delay' || by === 'distance'};
    this.dispatchEvent(new CustomEvent('larder-order', {detail: this.order, bubbles: true}));
    this.turn_to(0);
  }

  private turn_to(offset: number) {
    const last = this.total === null ? offset : Math.floor(Math.max(0, this.total - 1) / PAGE) * PAGE;
    this.offset = Math.min(Math.max(0, offset), last);
    this.client?.requestQuery();
  }

  private readonly keys = (event: KeyboardEvent) => {
    const step = event.key === 'PageDown' ? PAGE : event.key === 'PageUp' ? -PAGE : 0;
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.turn_to(this.offset + step);
  };

  protected override view() {
    const {order, rows, shown, total} = this;
    const end = shown + rows.length;
    return html`
      <div class="scroll" tabindex="0" role="region" aria-label="Flights; page up and page down turn pages" @keydown=${this.keys}>
        <table class="rows" aria-rowcount=${total ?? -1}>
          <thead><tr>${COLUMNS.map(({name, title, number}) => html`
            <th scope="col" class=${number ? 'number' : ''} aria-sort=${order.by !== name ? 'none' : order.down ? 'descending' : 'ascending'}>
              <button data-sort=${name} @click=${() => this.sort(name)}>${title}<span class="arrow" aria-hidden="true">${
                order.by !== name ? '' : order.down ? '↓' : '↑'}</span></button>
            </th>`)}</tr></thead>
          <tbody>${rows.map((row, i) => html`
            <tr aria-rowindex=${shown + i + 2}>${COLUMNS.map(({name, number, show}) => html`<td class=${number ? 'number' : ''}>${show(row[name])}</td>`)}</tr>`)}
          </tbody>
        </table>
        ${this.answer && rows.length === 0 ? html`<p class="empty">No flights under these filters.</p>` : nothing}
      </div>
      <nav class="pager" aria-label="Pages of flights">
        <span>${rows.length ? html`Rows ${count(shown + 1)}–${count(end)}${total === null ? nothing : html` of ${count(total)}`}` : nothing}</span>
        <button ?disabled=${this.offset === 0} @click=${() => this.turn_to(0)}>First</button>
        <button ?disabled=${this.offset === 0} @click=${() => this.turn_to(this.offset - PAGE)}>Previous</button>
        <button ?disabled=${total === null ? rows.length < PAGE : end >= total} @click=${() => this.turn_to(this.offset + PAGE)}>Next</button>
      </nav>`;
  }
}
