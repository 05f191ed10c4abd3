// The admin page: what the cache holds, what it saves, and the means to evict. It reads the server every five seconds while somebody looks.
import {LitElement, html, nothing} from 'lit';
import type {TemplateResult} from 'lit';
import {customElement, query, state} from 'lit/decorators.js';
import * as api from './api.js';
import type {Point, Source, Stats} from './api.js';
import {LarderError} from './connector.js';
import type {LarderEntries} from './entries.js';
import {age, bytes, compact, count, duration, share} from './format.js';
import './entries.js';
import './history.js';

const EVERY_MS = 5000;

@customElement('larder-admin')
export class LarderAdmin extends LitElement {
  @state() private stats: Stats | null = null;
  @state() private sources: readonly Source[] | null = null;
  @state() private problem: LarderError | null = null;
  @query('larder-entries') private entries!: LarderEntries;

  private timer = 0;

  protected override createRenderRoot() {
    return this;
  }

  override connectedCallback() {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.look);
    void this.look();
  }
  override disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.look);
    window.clearTimeout(this.timer);
  }

  private readonly look = async () => {
    window.clearTimeout(this.timer);
    if (document.hidden || !this.isConnected) return;
    try {
      await this.updateComplete;
      const [stats, sources] = await Promise.all([api.read_stats(), api.read_sources(), this.entries.load()]);
      this.stats = stats;
      this.sources = sources;
      this.problem = null;
    } catch (error) {
      this.problem = error instanceof LarderError ? error : new LarderError('page', (error as Error).message);
    }
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(this.look, EVERY_MS);
  };

  protected override render() {
    const {stats, problem} = this;
    return html`
      <h1>Admin <small>${stats ? html`${stats.store.path}` : nothing}</small></h1>
      ${problem ? html`
        <div class="problem" role="alert">
          <p>${problem.message}</p>
          <p class="fine">${problem.request_id ? html`Request <code>${problem.request_id}</code> · ` : nothing}<code>${problem.code}</code>${stats ? ' · what you see below is from before' : ''}</p>
          <button @click=${() => this.look()}>Try again</button>
        </div>` : nothing}
      <div class="admin ${problem ? 'dim' : ''}" @larder-evicted=${this.look}>
        ${this.figures()}
        <section class="panel" aria-labelledby="history-title">
          <header><h2 id="history-title">Hit rate over time</h2><span class="hint">queries of the last hour</span></header>
          <larder-history .points=${stats ? points_of(stats) : []}></larder-history>
        </section>
        ${this.sources_panel()}
        <larder-entries></larder-entries>
      </div>
      <p class="fine foot">${stats ? html`Larder ${stats.server.version} · up ${age(stats.server.uptime_ms / 1000)} · ${count(stats.server.requests)} requests ·
        ${count(Number(stats.store['processes']))} ${Number(stats.store['processes']) === 1 ? 'process has' : 'processes have'} the store open · read every ${EVERY_MS / 1000} s` : nothing}</p>`;
  }

  private figures() {
    const {stats} = this;
    const store = (name: string) => (stats ? Number(stats.store[name]) : null);
    const used = store('disk_bytes');
    const limit = store('size_limit_bytes');
    const asked = stats ? stats.query.hits + stats.query.shared + stats.query.misses : 0;
    const served = stats ? stats.query.hits + stats.query.shared : 0;
    return html`
      <section class="panel" aria-label="Figures" aria-busy=${stats ? 'false' : 'true'}>
        <dl class="kpis five">
          ${figure('disk', 'On disk', bytes(used), html`
            <meter min="0" max=${limit || 1} value=${used ?? 0} high=${(limit || 1) * 0.9} aria-label="Disk used of the limit"></meter>
            ${used !== null && limit ? html`${share(used / limit)} of ${bytes(limit)}` : nothing}`)}
          ${figure('entries', 'Entries', count(store('entries')), `${bytes(store('value_bytes'))} of keys and values`)}
          ${figure('hit-rate', 'Hit rate', asked ? share(served / asked) : '–',
                   stats ? `${compact(stats.query.hits)} hits, ${compact(stats.query.shared)} shared, ${compact(stats.query.misses)} misses` : '')}
          ${figure('saved', 'Time saved', duration(stats?.query.saved_ms), 'of waiting for sources')}
          ${figure('evictions', 'Evictions', count(store('evictions')), `${count(store('expirations'))} expired`)}
        </dl>
      </section>`;
  }

  private sources_panel() {
    const {sources} = this;
    return html`
      <section class="panel" aria-labelledby="sources-title">
        <header><h2 id="sources-title">Sources</h2></header>
        ${sources?.length === 0 ? html`<p class="empty">No sources are declared in larder.yaml.</p>` : nothing}
        <ul class="sources" role="list">${sources?.map((source) => html`
          <li>
            <h3>${source.name} <span class="tag">${source.kind}</span> <span class="tag">${source.format}</span></h3>
            <p>${count(source.files)} ${source.files === 1 ? 'file' : 'files'}, ${bytes(source.bytes)}, ${count(source.columns?.length ?? 0)} columns</p>
            ${source.error ? html`<p class="bad" role="alert">${source.error}</p>` : nothing}
            <details>
              <summary>Columns</summary>
              <div class="scroll" tabindex="0" role="region" aria-label="Columns of ${source.name}">
                <table class="plain"><thead><tr><th scope="col">Name</th><th scope="col">Type</th></tr></thead>
                  <tbody>${source.columns?.map(({name, type}) => html`<tr><th scope="row">${name}</th><td><code>${type}</code></td></tr>`)}</tbody></table>
              </div>
              <p class="fine">Data version <code>${source.version}</code></p>
            </details>
          </li>`)}
        </ul>
      </section>`;
  }
}

// The server's points, and one more for this moment.
const points_of = ({history, server, query: {hits, misses, saved_ms}, store}: Stats): Point[] => [
  ...history,
  {t: server.started_ms + server.uptime_ms, hits, misses, saved_ms, entries: Number(store['entries']), disk_bytes: Number(store['disk_bytes'])},
];

const figure = (name: string, title: string, value: string, note: string | TemplateResult) => html`
  <div data-figure=${name}><dt>${title}</dt><dd><span class="value">${value}</span></dd><dd class="note">${note}</dd></div>`;
