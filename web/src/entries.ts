// What the cache holds, entry by entry: sort, search, look at the query, evict one or all.
import {LitElement, html, nothing} from 'lit';
import {customElement, query, state} from 'lit/decorators.js';
import {repeat} from 'lit/directives/repeat.js';
import * as api from './api.js';
import type {Entry} from './api.js';
import {LarderError} from './connector.js';
import {age, bytes, count, duration} from './format.js';

const READ_MAX = 5000;   // entries read from the server
const SHOWN_STEP = 100;  // and rows drawn at a time

interface Column {
  readonly name: string;
  readonly title: string;
  readonly of: (entry: Entry) => string | number;  // sorts by it
  readonly show: (value: any) => string;
}

const text_of = (entry: Entry) => entry.sql ?? entry.key;
const born_ms = (entry: Entry) => entry.created_ms ?? entry.stored_ms;

const COLUMNS: readonly Column[] = [
  {name: 'kind', title: 'Kind', of: (entry) => entry.kind, show: String},
  {name: 'text', title: 'Query or key', of: text_of, show: String},
  {name: 'rows', title: 'Rows', of: (entry) => entry.rows ?? -1, show: (rows: number) => (rows < 0 ? '–' : count(rows))},
  {name: 'bytes', title: 'Size', of: (entry) => entry.bytes, show: bytes},
  {name: 'cost', title: 'Cost', of: (entry) => entry.cost_ms ?? -1, show: (ms: number) => (ms < 0 ? '–' : duration(ms))},
  {name: 'age', title: 'Age', of: (entry) => Date.now() - born_ms(entry), show: (ms: number) => age(ms / 1000)},
];

@customElement('larder-entries')
export class LarderEntries extends LitElement {
  @state() private entries: readonly Entry[] | null = null;
  @state() private more = false;
  @state() private search = '';
  @state() private by = 'age';
  @state() private down = false;
  @state() private shown = SHOWN_STEP;
  @state() private said = '';
  @state() private problem: LarderError | null = null;
  @query('dialog') private dialog!: HTMLDialogElement;

  protected override createRenderRoot() {
    return this;
  }

  async load(): Promise<void> {
    const {entries, more} = await api.read_entries(READ_MAX);
    this.entries = entries;
    this.more = more;
  }

  private async evict(entry?: Entry) {
    const at = [...this.querySelectorAll('button[data-evict]')].findIndex((button) => button === document.activeElement);
    try {
      const gone = await api.evict(entry && key_bytes(entry));
      await this.load();
      this.said = gone === 1 ? 'One entry evicted.' : `${count(gone)} entries evicted.`;
      this.problem = null;
      this.dispatchEvent(new CustomEvent('larder-evicted', {bubbles: true}));
    } catch (error) {
      this.problem = error instanceof LarderError ? error : new LarderError('page', (error as Error).message);
    }
    await this.updateComplete;
    // The button that had the focus is gone; whoever works by keyboard goes on with the next one.
    if (at >= 0) {
      const buttons = this.querySelectorAll<HTMLButtonElement>('button[data-evict]');
      (buttons[Math.min(at, buttons.length - 1)] ?? this.querySelector<HTMLInputElement>('input[type=search]'))?.focus();
    }
  }

  private sort(by: string) {
    this.down = this.by === by ? !this.down : by === 'rows' || by === 'bytes' || by === 'cost';
    this.by = by;
  }

  private get found(): Entry[] {
    const words = this.search.toLowerCase().split(/\s+/).filter((word) => word !== '');
    const found = (this.entries ?? []).filter((entry) => {
      const text = `${entry.kind} ${entry.sql ?? ''} ${entry.key} ${entry.source ?? ''}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const {of} = COLUMNS.find(({name}) => name === this.by)!;
    const sign = this.down ? -1 : 1;
    const compare = (a: Entry, b: Entry) => {
      const [x, y] = [of(a), of(b)];
      return x < y ? -sign : x > y ? sign : b.sequence - a.sequence;
    };
    return found.sort(compare);
  }

  protected override render() {
    const {entries, problem} = this;
    const found = this.found;
    return html`
      <section class="panel" aria-labelledby="entries-title" aria-busy=${entries ? 'false' : 'true'}>
        <header>
          <h2 id="entries-title">Entries</h2>
          <span class="hint">${entries ? `${count(found.length)} of ${count(entries.length)}${this.more ? ' read; the cache holds more' : ''}` : 'reading…'}</span>
          <span class="tools">
            <input type="search" placeholder="Search SQL, key, source" aria-label="Search entries" .value=${this.search}
                   @input=${(event: InputEvent) => { this.search = (event.target as HTMLInputElement).value; this.shown = SHOWN_STEP; }}>
            <button class="danger" data-evict-all ?disabled=${!entries?.length} @click=${() => this.dialog.showModal()}>Evict all…</button>
          </span>
        </header>
        <p class="fine said" role="status">${this.said}</p>
        ${problem ? html`<div class="problem" role="alert"><p>${problem.message}</p><p class="fine">Request <code>${problem.request_id}</code></p></div>` : nothing}
        <div class="scroll" tabindex="0" role="region" aria-label="Entries of the cache">
          <table class="rows entries">
            <thead><tr>${COLUMNS.map(({name, title}) => html`
              <th scope="col" class=${name} aria-sort=${this.by !== name ? 'none' : this.down ? 'descending' : 'ascending'}>
                <button data-sort=${name} @click=${() => this.sort(name)}>${title}<span class="arrow" aria-hidden="true">${
                  this.by !== name ? '' : this.down ? '↓' : '↑'}</span></button></th>`)}
              <th scope="col"><span class="unseen">Evict</span></th></tr></thead>
            <tbody>${repeat(found.slice(0, this.shown), ({sequence}) => sequence, (entry) => this.row(entry))}</tbody>
          </table>
          ${entries && found.length === 0 ? html`<p class="empty">${entries.length ? 'Nothing matches this search.' : 'The cache is empty. The first question fills it.'}</p>` : nothing}
        </div>
        ${found.length > this.shown ? html`<button class="plain" @click=${() => (this.shown += SHOWN_STEP)}>Show ${count(Math.min(SHOWN_STEP, found.length - this.shown))} more</button>` : nothing}
        <dialog aria-labelledby="evict-title">
          <h2 id="evict-title">Evict every entry?</h2>
          <p>All ${count(entries?.length)}${this.more ? ' and more' : ''} entries go, for every process that shares this store. Answers are computed again when somebody asks for them; values that programs stored by key are lost.</p>
          <p class="buttons">
            <button autofocus @click=${() => this.dialog.close()}>Keep them</button>
            <button class="danger" data-evict-confirm @click=${() => { this.dialog.close(); void this.evict(); }}>Evict all</button>
          </p>
        </dialog>
      </section>`;
  }

  private row(entry: Entry) {
    const text = text_of(entry);
    return html`
      <tr>${COLUMNS.map(({name, of, show}) => name === 'kind' ? html`<td><span class="tag">${entry.kind}</span></td>`
        : name === 'text' ? html`
          <th scope="row" class="text"><details><summary><code>${text.length > 140 ? `${text.slice(0, 140)}…` : text}</code></summary>
            <pre>${text}</pre>
            <p class="fine">${entry.sql ? html`Key <code>${entry.key}</code><br>` : nothing}${entry.source ? html`Source ${entry.source} · ` : nothing}Stored ${
              new Date(entry.stored_ms).toLocaleString()}${entry.expires_ms ? html` · expires ${new Date(entry.expires_ms).toLocaleString()}` : nothing}</p>
          </details></th>`
        : html`<td class="number ${name}">${show(of(entry))}</td>`)}
        <td><button class="plain" data-evict aria-label="Evict ${text.slice(0, 80)}" @click=${() => this.evict(entry)}>Evict</button></td>
      </tr>`;
  }
}

/** The key for an address: as text, or where it isn't text, its bytes. */
const key_bytes = (entry: Entry): string | Uint8Array =>
  entry.key_base64 === undefined ? entry.key : Uint8Array.from(atob(entry.key_base64), (c) => c.charCodeAt(0));
