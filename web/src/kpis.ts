// The figures under the filters: exact, from one query over the rows that the filters leave.
import {html, nothing} from 'lit';
import {customElement, property, state} from 'lit/decorators.js';
import {Query, avg, count as count_all, sql} from '@uwdata/mosaic-sql';
import type {FilterExpr} from '@uwdata/mosaic-sql';
import {coordinator} from './coordinator.js';
import type {Filters} from './filters.js';
import {count, decimal, share} from './format.js';
import {LarderPanel, PanelClient} from './panel.js';
import type {Rows} from './panel.js';

/** A flight counts as late from the 16th minute, as the US Bureau of Transportation Statistics counts. */
const LATE_MIN = 15;

interface Figures {
  readonly flights: number;
  readonly delay: number | null;
  readonly late: number;
  readonly distance: number | null;
}

const question = (filter: FilterExpr) => Query.from('flights').select({
  flights: count_all(),
  delay: avg('delay'),
  late: sql`count(*) FILTER (WHERE "delay" > ${LATE_MIN})`,
  distance: avg('distance'),
}).where(filter);

@customElement('larder-kpis')
export class LarderKpis extends LarderPanel {
  @property({attribute: false}) filters!: Filters;
  @state() private figures: Figures | null = null;
  @state() private all: Figures | null = null;  // without any filter, to compare with

  private client: PanelClient | null = null;

  override connectedCallback() {
    super.connectedCallback();
    let of_all = false;  // whether the question on its way has no filter
    const ask = (filter: FilterExpr) => {
      of_all = Array.isArray(filter) && filter.length === 0;
      return question(filter);
    };
    this.client = new PanelClient(this.filters.selection, this, ask, (rows) => {
      this.figures = read(rows);
      if (of_all) this.all = this.figures;
      else if (!this.all) this.compare();
      this.dispatchEvent(new CustomEvent('larder-total', {detail: this.figures.flights, bubbles: true}));
    });
    coordinator.connect(this.client);
  }

  // The page was opened with filters set. Somebody has asked for all flights before, so the cache will have it.
  private compare() {
    void coordinator.query(question([]), {cache: false}).then((rows) => (this.all = read(rows)), () => undefined);
  }

  protected clients() {
    return this.client ? [this.client] : [];
  }

  protected override view() {
    const {figures, all} = this;
    const compared = all && figures !== all ? all : null;  // by what is shown, which may lag behind what is picked
    const late = (of: Figures) => (of.flights ? of.late / of.flights : null);
    return html`
      <dl class="kpis">
        ${figure('flights', 'Flights', count(figures?.flights), '', compared && `${share(figures!.flights / compared.flights)} of ${count(compared.flights)}`)}
        ${figure('delay', 'Average delay', decimal(figures?.delay), 'min', compared && `${decimal(compared.delay)} min over all`)}
        ${figure('late', `Delayed over ${LATE_MIN} min`, share(figures && late(figures)), '', compared && `${share(late(compared))} over all`)}
        ${figure('distance', 'Average distance', count(figures?.distance), 'mi', compared && `${count(compared.distance)} mi over all`)}
      </dl>`;
  }
}

const figure = (name: string, title: string, value: string, unit: string, note: string | null) => html`
  <div data-kpi=${name}>
    <dt>${title}</dt>
    <dd><span class="value">${value}</span>${unit ? html` <span class="unit">${unit}</span>` : nothing}</dd>
    <dd class="note">${note ?? html`&nbsp;`}</dd>
  </div>`;

const read = (rows: Rows) => rows.toArray()[0] as Figures;
