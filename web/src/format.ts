// Numbers and times as people read them.

const MINUS = '−';
const groups = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const fixed = new Map<number, Intl.NumberFormat>();

function fixedFormat(decimals: number): Intl.NumberFormat {
  let f = fixed.get(decimals);
  if (!f) {
    f = new Intl.NumberFormat('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    fixed.set(decimals, f);
  }
  return f;
}

export const NONE = '–';

function known(v: number | null | undefined): v is number {
  return v !== null && v !== undefined && Number.isFinite(v);
}

export function num(v: number | null | undefined, decimals: number): string {
  return known(v) ? fixedFormat(decimals).format(v).replace('-', MINUS) : NONE;
}

export function signed(v: number | null | undefined, decimals: number): string {
  if (!known(v)) return NONE;
  const text = fixedFormat(decimals).format(Math.abs(v));
  const zero = Number(text.replaceAll(',', '')) === 0;
  return `${zero ? '' : v > 0 ? '+' : MINUS}${text}`;
}

export function int(v: number | null | undefined): string {
  return known(v) ? groups.format(v).replace('-', MINUS) : NONE;
}

export function pct(share: number | null | undefined, decimals = 1): string {
  return known(share) ? `${num(share * 100, decimals)}\u00a0%` : NONE;
}

/* 12,345 -> 12.3k; used for volumes only. */
export function compact(v: number | null | undefined): string {
  if (!known(v)) return NONE;
  const a = Math.abs(v);
  if (a >= 1e9) return `${num(v / 1e9, 2)}B`;
  if (a >= 1e6) return `${num(v / 1e6, 2)}M`;
  if (a >= 1e4) return `${num(v / 1e3, 1)}k`;
  return a >= 100 || Number.isInteger(v) ? int(v) : num(v, 2);
}

export function rate(v: number | null | undefined): string {
  return known(v) ? (v >= 100 ? int(v) : num(v, v >= 10 ? 0 : 1)) : NONE;
}

export function millis(v: number | null | undefined): string {
  if (!known(v)) return NONE;
  return v < 0.1 ? `${num(v, 3)} ms` : v < 10 ? `${num(v, 2)} ms` : v < 1000 ? `${num(v, 0)} ms` : `${num(v / 1000, 1)} s`;
}

export function age(ms: number | null | undefined): string {
  if (!known(ms)) return 'no data yet';
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${int(Math.floor(s / 86_400))} days`;
}

export function countdown(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const h = Math.floor(s / 3600);
  if (h >= 48) return `${Math.floor(h / 24)} days`;
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/* Decimals that show a price exactly: at least 2, at most 8. */
export function decimalsOf(v: number): number {
  for (let d = 2; d < 8; d++) if (Math.abs(v * 10 ** d - Math.round(v * 10 ** d)) < 1e-6 * 10 ** (d - 2)) return d;
  return 8;
}

/* Times of a zone. The offset is asked for once an hour of time and kept: formatting is arithmetic. */
export class Zone {
  private offsets = new Map<number, number>();
  private format: Intl.DateTimeFormat | null = null;
  readonly name: string;

  constructor(
    readonly id: string | null,
    private fallbackOffsetS: number,
  ) {
    try {
      this.format = new Intl.DateTimeFormat('en-US', {
        timeZone: id ?? undefined,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    } catch {
      this.format = null;
    }
    const own = id ?? this.format?.resolvedOptions().timeZone ?? 'local';
    this.name = own === 'UTC' || own === 'Etc/UTC' ? 'UTC' : (own.split('/').pop() ?? own).replaceAll('_', ' ');
  }

  private offset(ms: number): number {
    const hour = Math.floor(ms / 900_000);
    const kept = this.offsets.get(hour);
    if (kept !== undefined) return kept;
    let off = this.fallbackOffsetS * 1000;
    if (this.format) {
      const p: Record<string, number> = {};
      for (const part of this.format.formatToParts(hour * 900_000)) p[part.type] = Number(part.value);
      const local = Date.UTC(p.year ?? 1970, (p.month ?? 1) - 1, p.day ?? 1, p.hour ?? 0, p.minute ?? 0, p.second ?? 0);
      off = local - hour * 900_000;
    }
    if (this.offsets.size > 5000) this.offsets.clear();
    this.offsets.set(hour, off);
    return off;
  }

  parts(ms: number): Date {
    return new Date(ms + this.offset(ms));
  }
  time(ms: number, seconds = true): string {
    return this.parts(ms).toISOString().slice(11, seconds ? 19 : 16);
  }
  day(ms: number): string {
    return this.parts(ms).toISOString().slice(0, 10);
  }
  weekday(ms: number): string {
    return 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')[this.parts(ms).getUTCDay()] ?? '';
  }
  dayShort(ms: number): string {
    const d = this.parts(ms);
    const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
    return `${d.getUTCDate()} ${months[d.getUTCMonth()] ?? ''}`;
  }
  full(ms: number): string {
    return `${this.dayShort(ms)} ${this.time(ms)}`;
  }
}
