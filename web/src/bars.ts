// Bars of one symbol and interval as the chart needs them: rising, one a start, the newest version of each,
// whatever order they come in. And the time axis: one slot an interval, so that time runs evenly and a second
// without a trade stays empty.

import { toMs, type Bar, type Gap } from './types';

export interface Candle {
  t: number; // start, s since 1970
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  trades: number | null;
  revision: number;
  origin: string;
  availableMs: number;
  late: boolean; // came after a later bar of the same symbol
}

export type Change = 'append' | 'last' | 'middle' | 'none';

export function toCandle(b: Bar): Candle {
  return {
    t: Math.round(b.start / 1e9),
    open: b.open,
    high: b.high,
    low: b.low,
    close: b.close,
    volume: b.volume,
    trades: b.trades,
    revision: b.revision ?? 0,
    origin: b.origin,
    availableMs: b.available === null || b.available === undefined ? 0 : toMs(b.available),
    late: false,
  };
}

function sound(c: Candle): boolean {
  return [c.t, c.open, c.high, c.low, c.close].every(Number.isFinite);
}

/* Index of the first element with time >= t. */
export function lowerBound(times: ArrayLike<number>, t: number): number {
  let lo = 0;
  let hi = times.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if ((times[mid] as number) < t) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

export class Bars {
  list: Candle[] = [];
  axis: number[] = []; // every slot, s; holds every candle's t
  gaps: { from: number; to: number; reason: string; filled: boolean }[] = [];

  constructor(
    readonly step: number, // s
    private ahead: number, // slots kept to the right of the last bar, for targets
    private fillMax = 900, // slots: a longer hole (a night) is drawn closed
    private keep = 40_000,
  ) {}

  get last(): Candle | null {
    return this.list[this.list.length - 1] ?? null;
  }

  clear(): void {
    this.list = [];
    this.axis = [];
    this.gaps = [];
  }

  private find(t: number): number {
    let lo = 0;
    let hi = this.list.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if ((this.list[mid] as Candle).t < t) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }

  /* The later version wins: by revision, then by when it was available. */
  private newer(a: Candle, b: Candle): boolean {
    return a.revision !== b.revision ? a.revision > b.revision : a.availableMs >= b.availableMs;
  }

  put(c: Candle): Change {
    if (!sound(c)) return 'none';
    const last = this.last;
    if (!last || c.t > last.t) {
      this.list.push(c);
      this.extend(c.t);
      return 'append';
    }
    const i = this.find(c.t);
    const old = this.list[i] as Candle;
    if (old.t !== c.t) {
      this.list.splice(i, 0, { ...c, late: true });
      return 'middle';
    }
    if (!this.newer(c, old)) return 'none';
    const same =
      old.open === c.open && old.high === c.high && old.low === c.low && old.close === c.close && old.volume === c.volume;
    this.list[i] = { ...c, late: old.late };
    if (same && old.revision === c.revision) return 'none';
    return i === this.list.length - 1 ? 'last' : 'middle';
  }

  /* A whole range at once. Returns how many bars were new. */
  putAll(bars: Candle[]): number {
    const known = new Map(this.list.map((c) => [c.t, c]));
    const before = known.size;
    for (const c of bars) {
      if (!sound(c)) continue;
      const old = known.get(c.t);
      if (!old || this.newer(c, old)) known.set(c.t, { ...c, late: old?.late ?? false });
    }
    this.list = [...known.values()].sort((a, b) => a.t - b.t);
    this.rebuildAxis();
    return known.size - before;
  }

  putGap(g: Gap): void {
    const from = Math.floor(g.start / 1e9);
    const to = g.end ? Math.ceil(g.end / 1e9) : Number.POSITIVE_INFINITY;
    const i = this.gaps.findIndex((x) => x.from === from && x.reason === g.reason);
    const gap = { from, to, reason: g.reason, filled: g.filled };
    if (i >= 0) this.gaps[i] = gap;
    else this.gaps.push(gap);
    if (this.gaps.length > 2000) this.gaps.shift();
  }

  rebuildAxis(): void {
    const axis: number[] = [];
    let prev: number | null = null;
    for (const c of this.list) {
      if (prev !== null && (c.t - prev) / this.step <= this.fillMax) {
        for (let t = prev + this.step; t < c.t; t += this.step) axis.push(t);
      }
      axis.push(c.t);
      prev = c.t;
    }
    if (prev !== null) for (let i = 1; i <= this.ahead; i++) axis.push(prev + i * this.step);
    this.axis = axis;
  }

  private extend(t: number): void {
    let end = this.axis[this.axis.length - 1];
    if (end === undefined || t > end) {
      this.axis.push(t);
      end = t;
    }
    for (let s = end + this.step; s <= t + this.ahead * this.step; s += this.step) this.axis.push(s);
  }

  /* Memory stays flat over a day: drops the oldest when far too many. Returns whether it did. */
  trim(): boolean {
    if (this.list.length <= this.keep) return false;
    this.list = this.list.slice(-Math.floor(this.keep * 0.75));
    this.rebuildAxis();
    return true;
  }

  hasSlot(t: number): boolean {
    return this.axis[lowerBound(this.axis, t)] === t;
  }

  at(t: number): Candle | null {
    const c = this.list[this.find(t)];
    return c && c.t === t ? c : null;
  }

  /* Where a time lies on the axis, in slots; between slots and beyond the ends too. */
  logical(t: number): number {
    const n = this.axis.length;
    if (n === 0) return 0;
    const first = this.axis[0] as number;
    const end = this.axis[n - 1] as number;
    if (t <= first) return (t - first) / this.step;
    if (t >= end) return n - 1 + (t - end) / this.step;
    const i = lowerBound(this.axis, t);
    const hi = this.axis[i] as number;
    if (hi === t) return i;
    const lo = this.axis[i - 1] as number;
    return i - 1 + (t - lo) / (hi - lo);
  }
}
