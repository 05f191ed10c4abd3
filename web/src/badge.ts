// A panel's badge: was this answer kept or computed, how old is it, how long did it take. Focus or hover tells the rest.
import {LitElement, html, nothing} from 'lit';
import {customElement, property} from 'lit/decorators.js';
import type {Answer} from './connector.js';
import {age, bytes, count, duration} from './format.js';

const WORDS = {hit: 'hit', shared: 'shared', miss: 'miss'} as const;

let next_id = 0;

@customElement('larder-badge')
export class LarderBadge extends LitElement {
  @property({attribute: false}) answer: Answer | null = null;
  @property({attribute: false}) waiting = false;
  @property({attribute: false}) failed = false;

  private timer = 0;
  private readonly tip_id = `tip-${++next_id}`;

  protected override createRenderRoot() {
    return this;
  }
  override connectedCallback() {
    super.connectedCallback();
    this.timer = window.setInterval(() => { if (!document.hidden) this.requestUpdate(); }, 1000);
  }
  override disconnectedCallback() {
    super.disconnectedCallback();
    window.clearInterval(this.timer);
  }

  protected override render() {
    const {answer} = this;
    if (this.failed) return html`<span class="badge failed">failed</span>`;
    if (!answer) return html`<span class="badge waiting">${this.waiting ? 'asking…' : nothing}</span>`;
    const seconds = age_now(answer);
    const took = answer.cache === 'hit' ? answer.lookup_ms : answer.source_ms ?? answer.cost_ms;
    return html`
      <button class="badge ${answer.cache}" data-cache=${answer.cache} aria-describedby=${this.tip_id}>
        <b>${WORDS[answer.cache]}</b>
        <span>${duration(took)}</span>
        <span>${seconds < 1 ? 'new' : `${age(seconds)} old`}</span>
      </button>
      <dl class="tip" role="tooltip" id=${this.tip_id}>
        <dt>Answer</dt><dd>${sentence(answer)}</dd>
        <dt>Computed</dt><dd>${age(seconds)} ago</dd>
        <dt>Lookup</dt><dd>${duration(answer.lookup_ms)}</dd>
        ${answer.source_ms === null ? nothing : html`<dt>Query</dt><dd>${duration(answer.source_ms)}</dd>`}
        ${answer.cache === 'hit' ? html`<dt>Saved</dt><dd>${duration(answer.cost_ms)}</dd>` : nothing}
        <dt>Round trip</dt><dd>${duration(answer.round_trip_ms)}</dd>
        <dt>Size</dt><dd>${count(answer.rows)} rows, ${bytes(answer.bytes)}</dd>
        <dt>Request</dt><dd><code>${answer.request_id}</code></dd>
      </dl>`;
  }
}

/** An answer's age at this moment, in seconds. */
export const age_now = (answer: Answer) => answer.age_s + (Date.now() - answer.received) / 1000;

function sentence(answer: Answer): string {
  if (answer.cache === 'hit') return 'from the cache';
  const kept = answer.not_stored ? `not kept: ${answer.not_stored}` : 'now kept';
  return answer.cache === 'shared' ? 'computed once for several who asked at once' : `computed, ${kept}`;
}
