// The busiest origins as bars that are buttons: each one adds its airport to the filter or takes it out.
import {html} from 'lit';
import {customElement, property, state} from 'lit/decorators.js';
import {Query, asc, count as count_all, desc} from '@uwdata/mosaic-sql';
import {coordinator} from './coordinator.js';
import type {Filters} from './filters.js';
import {count} from './format.js';
import {LarderPanel, PanelClient} from './panel.js';
import type {PlainTable} from './panel.js';

const SHOWN = 15;

@customElement('larder-origins')
export class LarderOrigins extends LarderPanel {
  @property({attribute: false}) filters!: Filters;
  @state() private bars: readonly {origin: string, flights: number}[] = [];

  private client: PanelClient | null = null;
  private readonly follow = () => this.requestUpdate();

  override connectedCallback() {
    super.connectedCallback();
    this.client = new PanelClient(
      this.filters.selection, this,
      (filter) => Query.from('flights').select({origin: 'origin', flights: count_all()}).where(filter)
        .groupby('origin').orderby(desc('flights'), asc('origin')).limit(SHOWN),
      (rows) => (this.bars = rows.toArray() as {origin: string, flights: number}[]));
    this.filters.exempt('origin', this.client);
    this.filters.addEventListener('change', this.follow);
    coordinator.connect(this.client);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.filters.removeEventListener('change', this.follow);
  }

  protected clients() {
    return this.client ? [this.client] : [];
  }

  protected override view() {
    const {origins} = this.filters;
    const most = this.bars[0]?.flights ?? 1;
    if (this.answer && this.bars.length === 0) return html`<p class="empty">No flights under these filters.</p>`;
    return html`
      <ul class="bars" role="list">${this.bars.map(({origin, flights}) => html`
        <li>
          <button aria-pressed=${origins.includes(origin) ? 'true' : 'false'} class=${origins.length && !origins.includes(origin) ? 'out' : ''}
                  aria-label="${origin}, ${count(flights)} flights" data-origin=${origin} @click=${() => this.filters.toggle_origin(origin)}>
            <span class="name">${origin}</span>
            <span class="track"><span class="bar" style="width:${(100 * flights) / most}%"></span></span>
            <span class="count">${count(flights)}</span>
          </button>
        </li>`)}
      </ul>`;
  }

  protected override table(): PlainTable {
    return {head: ['Origin', 'Flights'], rows: this.bars.map(({origin, flights}) => [origin, count(flights)])};
  }
}
