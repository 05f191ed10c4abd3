// What all panels share: the frame around a view, and the client that asks for it.
//
// A panel asks through Mosaic, keeps showing its last answer, dimmed, while it waits for the next, says of every answer whether it was
// kept, how old it is and what it cost, can be refreshed, and shows an error as a sentence with a way out. The view itself is the
// subclass's: `view()` draws it, and `table()` says the same in rows for those who don't see it.
import {LitElement, html, nothing} from 'lit';
import type {TemplateResult} from 'lit';
import {property, state} from 'lit/decorators.js';
import {MosaicClient} from '@uwdata/mosaic-core';
import type {QueryError, Selection} from '@uwdata/mosaic-core';
import type {FilterExpr, Query} from '@uwdata/mosaic-sql';
import {LarderError} from './connector.js';
import type {Answer, Asker} from './connector.js';
import {coordinator} from './coordinator.js';
import './badge.js';

/** What a client tells its panel. */
export interface Watcher {
  asked(): void;
  answered(answer: Answer): void;
  drawn(): void;
  failed(error: Error): void;
}

/** Asks one question under a selection and hands the rows over. */
export class PanelClient extends MosaicClient implements Asker {
  constructor(selection: Selection | undefined, private readonly watcher: Watcher, private readonly question: (filter: FilterExpr) => Query,
              private readonly take: (rows: Rows) => void) {
    super(selection);
  }
  override get filterStable() {
    return false;
  }
  override query(filter: FilterExpr = []) {
    return this.question(filter);
  }
  override queryPending() {
    this.watcher.asked();
    return this;
  }
  answered(answer: Answer) {
    this.watcher.answered(answer);
  }
  override queryResult(rows: unknown) {
    this.take(rows as Rows);
    this.watcher.drawn();
    return this;
  }
  override queryError(error: QueryError) {
    this.watcher.failed(error);
    return this;
  }
}

/** The part of an Arrow table that panels read. */
export interface Rows {
  readonly numRows: number;
  toArray(): Record<string, any>[];
}

export interface PlainTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export abstract class LarderPanel extends LitElement implements Watcher {
  @property() heading = '';

  @state() protected answer: Answer | null = null;
  @state() protected problem: LarderError | null = null;
  @state() protected waiting = true;
  @state() protected as_table = false;

  private arrived: Answer | null = null;  // of the rows that are about to be drawn

  /** The clients that a refresh asks again. */
  protected abstract clients(): readonly MosaicClient[];
  protected abstract view(): TemplateResult;
  protected table(): PlainTable | null {
    return null;
  }
  /** The page's own style sheet reaches into panels: one look, one place. */
  protected override createRenderRoot() {
    return this;
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    for (const client of this.clients()) {
      coordinator.larder.take_back(client as Asker);
      client.destroy();
    }
  }

  refresh() {
    for (const client of this.clients()) coordinator.refresh(client);
  }

  asked() {
    this.waiting = true;
  }
  answered(answer: Answer) {
    this.arrived = answer;
  }
  drawn() {
    this.waiting = false;
    this.problem = null;
    this.answer = this.arrived;
    this.dispatchEvent(new CustomEvent('larder-answer', {detail: this.answer, bubbles: true}));
  }
  failed(error: Error) {
    const cause = error.cause ?? error;
    this.waiting = false;
    this.problem = cause instanceof LarderError ? cause : new LarderError('page', `This panel could not be drawn: ${(cause as Error).message}`);
  }

  protected override render() {
    const table = this.as_table ? this.table() : null;
    const id = `panel-${this.id}`;
    return html`
      <section class="panel" aria-labelledby=${id} aria-busy=${this.waiting ? 'true' : 'false'}>
        <header>
          <h2 id=${id}>${this.heading}</h2>
          <span class="tools">
            <larder-badge .answer=${this.answer} .waiting=${this.waiting} .failed=${this.problem !== null}></larder-badge>
            ${this.table() ? html`
              <button class="icon" aria-pressed=${this.as_table ? 'true' : 'false'} title="Show as table"
                      aria-label="Show ${this.heading} as table" @click=${() => (this.as_table = !this.as_table)}>${icon_table}</button>` : nothing}
            <button class="icon" title="Refresh: ask the source again" aria-label="Refresh ${this.heading}"
                    @click=${() => this.refresh()}>${icon_refresh}</button>
          </span>
        </header>
        ${this.problem ? this.error(this.problem) : nothing}
        <div class="view ${this.waiting || this.problem ? 'dim' : ''} ${this.answer ? '' : 'first'}">
          <div ?hidden=${table !== null} class="drawing">${this.view()}</div>
          ${table ? html`
            <div class="scroll" tabindex="0" role="region" aria-label="${this.heading} as table">
              <table class="plain">
                <thead><tr>${table.head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
                <tbody>${table.rows.map(([name, ...cells]) => html`
                  <tr><th scope="row">${name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
              </table>
            </div>` : nothing}
        </div>
      </section>`;
  }

  private error(problem: LarderError) {
    return html`
      <div class="problem" role="alert">
        <p>${problem.message}</p>
        <p class="fine">${problem.request_id ? html`Request <code>${problem.request_id}</code> · ` : nothing}<code>${problem.code}</code></p>
        <button @click=${() => { for (const client of this.clients()) client.requestQuery(); }}>Try again</button>
      </div>`;
  }
}

export const icon_refresh = html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M13.2 6.6A5.5 5.5 0 1 0 13.5 9M13.5 3v3.8H9.7"/></svg>`;
export const icon_table = html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6.5 3.5v9"/></svg>`;
