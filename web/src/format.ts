// Numbers as the page writes them: one way for each kind of quantity, everywhere.

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const one_digit = new Intl.NumberFormat('en', {minimumFractionDigits: 1, maximumFractionDigits: 1});
const percent = new Intl.NumberFormat('en', {style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1});
const short = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1});

export const NOTHING = '–';

type Maybe = number | null | undefined;
const is_number = (value: Maybe): value is number => typeof value === 'number' && Number.isFinite(value);

export const count = (value: Maybe) => is_number(value) ? whole.format(value) : NOTHING;
export const decimal = (value: Maybe) => is_number(value) ? one_digit.format(value).replace('-', '−') : NOTHING;
export const share = (value: Maybe) => is_number(value) ? percent.format(value) : NOTHING;
export const compact = (value: Maybe) => is_number(value) ? short.format(value) : NOTHING;
export const signed = (value: number) => (value < 0 ? `−${whole.format(-value)}` : whole.format(value));

/** 12 B, 3.4 KiB, 1.2 GiB */
export function bytes(value: Maybe): string {
  if (!is_number(value)) return NOTHING;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = value;
  let unit = 0;
  while (size >= 1023.95 && unit < units.length - 1) {
    size /= 1024;
    ++unit;
  }
  return `${unit === 0 ? whole.format(size) : one_digit.format(size)} ${units[unit]}`;
}

/** How long something took: 0.012 ms, 4.2 ms, 132 ms, 1.4 s, 3 min 20 s */
export function duration(ms: Maybe): string {
  if (!is_number(ms)) return NOTHING;
  if (ms < 0.1) return `${ms.toFixed(3)} ms`;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return age(ms / 1000);
}

/** How long ago: 12 s, 3 min, 4 h, 2 d; the larger spans with their remainder */
export function age(seconds: Maybe): string {
  if (!is_number(seconds)) return NOTHING;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return join(s, 60, 'min', 1, 's', 600);
  if (s < 86_400) return join(s, 3600, 'h', 60, 'min', 36_000);
  return join(s, 86_400, 'd', 3600, 'h', 864_000);
}

function join(s: number, large: number, large_unit: string, small: number, small_unit: string, plain_from: number): string {
  const rest = Math.floor((s % large) / small);
  return rest === 0 || s >= plain_from ? `${Math.floor(s / large)} ${large_unit}` : `${Math.floor(s / large)} ${large_unit} ${rest} ${small_unit}`;
}

/** A timestamp of the data, as it stands there: the data has no time zone, so none is added. */
export const timestamp = (value: Date) => value.toISOString().slice(0, 16).replace('T', ' ');
