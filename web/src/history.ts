// The share of queries that the cache answered, step by step over the last hour, for the steps in which there were any.
import {LitElement, html} from 'lit';
import {customElement, property, query} from 'lit/decorators.js';
import * as Plot from '@observablehq/plot';
import type {Point} from './api.js';
import {count, share} from './format.js';

interface Step {
  readonly at: Date;
  readonly asked: number;
  readonly rate: number;
}

@customElement('larder-history')
export class LarderHistory extends LitElement {
  @property({attribute: false}) points: readonly Point[] = [];
  @query('.chart') private chart!: HTMLElement;

  private width = 0;
  private readonly resized = new ResizeObserver(([entry]) => {
    this.width = Math.round(entry!.contentRect.width);
    this.draw();
  });

  protected override createRenderRoot() {
    return this;
  }
  protected override firstUpdated() {
    this.resized.observe(this.chart);
  }
  override disconnectedCallback() {
    super.disconnectedCallback();
    this.resized.disconnect();
  }
  protected override updated() {
    this.draw();
  }

  private draw() {
    if (this.width < 120) return;
    const steps = steps_of(this.points);
    const end = this.points.at(-1)?.t ?? Date.now();
    const start = Math.min(this.points[0]?.t ?? end, end - 5 * 60_000);
    const most = Math.max(1, ...steps.map(({asked}) => asked));
    this.chart.replaceChildren(Plot.plot({
      width: this.width, height: 198, marginLeft: 46, marginRight: 20, marginTop: 12, marginBottom: 28,
      ariaLabel: 'Hit rate over time',
      x: {type: 'time', domain: [start, end], label: null, ticks: Math.max(2, Math.floor(this.width / 120)), tickSize: 4, tickFormat: clock},
      y: {domain: [0, 1], label: null, grid: true, ticks: 4, tickFormat: (rate: number) => `${Math.round(rate * 100)} %`, tickSize: 0},
      marks: [
        // How much was asked, as a faint floor of bars beneath the rate: a rate of three questions is not one of three thousand.
        Plot.ruleX(steps, {x: 'at', y1: 0, y2: (step: Step) => 0.25 * step.asked / most, stroke: 'currentColor', strokeOpacity: 0.25, strokeWidth: 2}),
        Plot.lineY(steps, {x: 'at', y: 'rate', stroke: 'var(--accent)', strokeWidth: 2, strokeLinejoin: 'round'}),
        Plot.dot(steps, {x: 'at', y: 'rate', r: 2.5, fill: 'var(--accent)',
                         title: ({at, asked, rate}: Step) => `${at.toLocaleTimeString()}: ${share(rate)} of ${count(asked)}`}),
      ],
    }));
  }

  protected override render() {
    const steps = steps_of(this.points);
    const asked = steps.reduce((sum, step) => sum + step.asked, 0);
    const served = steps.reduce((sum, step) => sum + step.asked * step.rate, 0);
    return html`
      <div class="chart history"></div>
      <p class="fine" role="note">${asked
        ? `${share(served / asked)} of ${count(asked)} queries came from the cache.`
        : 'No queries in this time: open the Flights page, or ask over HTTP.'}</p>`;
  }
}

const clock = (at: Date) => at.toLocaleTimeString('en-GB', {hour: '2-digit', minute: '2-digit'});

function steps_of(points: readonly Point[]): Step[] {
  const steps: Step[] = [];
  for (let i = 1; i < points.length; ++i) {
    const now = points[i]!;
    const before = points[i - 1]!;
    const hits = now.hits - before.hits;
    const asked = hits + now.misses - before.misses;
    if (asked > 0 && hits >= 0) steps.push({at: new Date(now.t), asked, rate: hits / asked});
  }
  return steps;
}
