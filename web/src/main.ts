// The page's shell: header, the two pages behind their addresses, and the choice of light or dark.
import {LitElement, html} from 'lit';
import {customElement, state} from 'lit/decorators.js';
import './admin.js';
import './flights.js';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = typeof THEMES[number];

const PAGES = {'/': 'Flights', '/admin': 'Admin'} as const;
type Page = keyof typeof PAGES;

const page_at = (path: string): Page => (path.replace(/\/+$/, '') === '/admin' ? '/admin' : '/');

@customElement('larder-app')
export class LarderApp extends LitElement {
  @state() private page: Page = page_at(location.pathname);
  @state() private theme: Theme = read_theme();

  // The page to come back to, as it was left: filters live in its address.
  private readonly left = new Map<Page, string>();

  protected override createRenderRoot() {
    this.replaceChildren();
    return this;
  }

  override connectedCallback() {
    super.connectedCallback();
    show_theme(this.theme);
    window.addEventListener('popstate', () => (this.page = page_at(location.pathname)));
  }

  private readonly go = (event: MouseEvent, page: Page) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (page === this.page) return;
    this.left.set(this.page, location.pathname + location.search);
    history.pushState(null, '', this.left.get(page) ?? page);
    this.page = page;
    window.scrollTo(0, 0);
  };

  private turn_theme() {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]!;
    show_theme(this.theme);
    try {
      localStorage.setItem('theme', this.theme);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  }

  protected override render() {
    document.title = `${PAGES[this.page]} · Larder`;
    return html`
      <a class="skip" href="#main" @click=${(event: Event) => { event.preventDefault(); this.querySelector<HTMLElement>('#main')?.focus(); }}>Skip to content</a>
      <header class="top">
        <a class="brand" href="/" @click=${(event: MouseEvent) => this.go(event, '/')}>${brand} Larder</a>
        <nav aria-label="Pages">${(Object.keys(PAGES) as Page[]).map((page) => html`
          <a href=${page} aria-current=${page === this.page ? 'page' : 'false'} @click=${(event: MouseEvent) => this.go(event, page)}>${PAGES[page]}</a>`)}
        </nav>
        <button class="plain theme" @click=${this.turn_theme} aria-label="Colours: ${this.theme}. Change">${THEME_ICONS[this.theme]}<span>${this.theme}</span></button>
      </header>
      <main id="main" tabindex="-1">${this.page === '/' ? html`<larder-flights></larder-flights>` : html`<larder-admin></larder-admin>`}</main>`;
  }
}

function read_theme(): Theme {
  try {
    const kept = localStorage.getItem('theme');
    return THEMES.find((theme) => theme === kept) ?? 'system';
  } catch {
    return 'system';
  }
}

function show_theme(theme: Theme) {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
}

const brand = html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7"/><path d="M7 12h18M7 22h18M11 12V8.5M16 12V7M11 22v-4M16 22v-5M21 22v-3.5"/></svg>`;
const THEME_ICONS = {
  system: html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 3.5h11v7h-11zM6 13h4"/></svg>`,
  light: html`<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="2.8"/><path d="M8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M3.4 12.6l1.1-1.1M11.5 4.5l1.1-1.1"/></svg>`,
  dark: html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z"/></svg>`,
};
