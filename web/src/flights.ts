// The flights page: three million flights, cross-filtered. It holds the filters, mirrors them in the address, and lays the panels out.
import {LitElement, html, nothing} from 'lit';
import {customElement, state} from 'lit/decorators.js';
import type {Answer} from './connector.js';
import {coordinator} from './coordinator.js';
import {DIMENSIONS, Filters, interval_label} from './filters.js';
import {duration} from './format.js';
import type {LarderPanel} from './panel.js';
import {icon_refresh} from './panel.js';
import {FIRST_ORDER, read_order, write_order} from './rows.js';
import type {Order} from './rows.js';
import './histogram.js';
import './kpis.js';
import './origins.js';


@customElement('larder-flights')
export class LarderFlights extends LitElement {
  private readonly filters = new Filters();
  @state() private order: Order = FIRST_ORDER;
  @state() private total: number | null = null;
  @state() private answers = new Map<EventTarget, Answer>();

  protected override createRenderRoot() {
    return this;
  }

  override connectedCallback() {
    super.connectedCallback();
    this.read_address();
    this.filters.addEventListener('change', this.write_address);
    window.addEventListener('popstate', this.read_address);
  }
  override disconnectedCallback() {
    super.disconnectedCallback();
    this.filters.removeEventListener('change', this.write_address);
    window.removeEventListener('popstate', this.read_address);
    coordinator.forget(this.filters.selection);
  }

  private readonly read_address = () => {
    const address = new URLSearchParams(location.search);
    this.order = read_order(address.get('sort')) ?? FIRST_ORDER;
    this.filters.read(address);
  };
  private readonly write_address = () => {
    const address = new URLSearchParams(location.search);
    this.filters.write(address);
    if (this.order === FIRST_ORDER) address.delete('sort');
    else address.set('sort', write_order(this.order));
    const text = address.toString().replaceAll('%2C', ',');
    history.replaceState(history.state, '', text ? `?${text}` : location.pathname);
    this.requestUpdate();
  };

  private get panels() {
    return this.querySelectorAll<LarderPanel>('larder-kpis, larder-histogram, larder-origins, larder-rows');
  }

  protected override render() {
    const {filters} = this;
    return html`
      <h1>Flights <small>United States, January to June 2001</small></h1>
      <div class="filterbar" role="group" aria-label="Filters">
        ${DIMENSIONS.map((dimension) => {
          const interval = filters.interval(dimension.name);
          return interval ? chip(`${dimension.title}: ${interval_label(dimension, interval)}`, () => filters.set_interval(dimension, null)) : nothing;
        })}
        ${filters.origins.map((origin) => chip(`Origin: ${origin}`, () => filters.toggle_origin(origin)))}
        ${filters.any
          ? html`<button class="plain" data-reset @click=${() => filters.clear()}>Reset filters</button>`
          : html`<span class="hint">Brush a chart or pick an origin: every panel follows.</span>`}
        <span class="tally" role="status">${this.tally()}</span>
        <button class="plain" data-refresh-all @click=${() => this.panels.forEach((panel) => panel.refresh())}>${icon_refresh} Refresh all</button>
      </div>
      <div class="dashboard" @larder-answer=${this.note} @larder-total=${(event: CustomEvent<number>) => (this.total = event.detail)}
           @larder-order=${(event: CustomEvent<Order>) => { this.order = event.detail; this.write_address(); }}>
        <larder-kpis id="kpis" heading="Under these filters" .filters=${filters}></larder-kpis>
        ${DIMENSIONS.map((dimension) => html`<larder-histogram id=${dimension.name} .dimension=${dimension} .filters=${filters}></larder-histogram>`)}
        <larder-origins id="origins" heading="Busiest origins" .filters=${filters}></larder-origins>
        <larder-rows id="rows" heading="Flights" .filters=${filters} .order=${this.order} .total=${this.total}></larder-rows>
      </div>`;
  }

  private readonly note = (event: CustomEvent<Answer>) => {
    this.answers.set(event.target!, event.detail);
    this.requestUpdate();
  };

  // What the cache did for what is on screen now.
  private tally() {
    const answers = [...this.answers.values()];
    if (answers.length === 0) return nothing;
    const kept = answers.filter(({cache}) => cache === 'hit');
    const saved = kept.reduce((sum, {cost_ms}) => sum + (cost_ms ?? 0), 0);
    return html`<b>${kept.length} of ${answers.length}</b> panels from the cache${saved > 0 ? html`, <b>${duration(saved)}</b> saved` : nothing}`;
  }
}

const chip = (label: string, remove: () => void) => html`
  <span class="chip">${label}<button aria-label="Remove filter ${label}" @click=${remove}><svg viewBox="0 0 12 12" aria-hidden="true"><path d="M3 3l6 6M9 3l-6 6"/></svg></button></span>`;
