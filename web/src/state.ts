// All that the panels show, and who wants to know about which change. Panels read it; only main.ts writes it.

import type { ConnState } from './api';
import { decimalsOf, Zone } from './format';
import type { Link } from './link';
import { BASELINES, modelName, toMs, type Bar, type Forecast, type SecondMarker, type Status, type SymbolRow } from './types';

export interface Arrow {
  value: number;
  lo: number | null;
  hi: number | null;
  reference: number | null;
  gate: boolean;
  originMs: number;
}

export interface Sym {
  symbol: string;
  feed: string;
  calendar: string;
  last: number | null;
  lastMs: number | null; // end of the newest bar
  lastStart: number; // ns, of the newest bar
  open: number | null; // session's first price: last - change
  volume: number | null;
  bid: number | null;
  ask: number | null;
  spark: number[];
  next: Arrow | null;
  last60: Arrow | null;
  decimals: number;
  receivedMs: number; // Date.now() when anything of it came
  dirty: boolean;
}

export interface Topics {
  symbols: undefined; // the list itself changed
  tick: string; // one symbol changed
  selected: undefined;
  status: Status;
  conn: undefined;
  scores: undefined;
  forecasts: undefined;
  look: undefined; // theme, colours or zone
  clock: undefined; // once a second
}

type Listener<T> = (value: T) => void;

const SPARK = 60;

/* Quotes lie on the tick grid, so they tell how a price is written; single trades may lie between ticks. */
export function decimalsFor(bid: number | null, ask: number | null, closes: number[], last: number | null): number {
  if (bid !== null && ask !== null) return Math.max(decimalsOf(bid), decimalsOf(ask));
  const seen = (closes.length ? closes : last !== null ? [last] : []).map(decimalsOf).sort((a, b) => a - b);
  return seen[seen.length >> 1] ?? 2;
}

export class State {
  symbols = new Map<string, Sym>();
  status: Status | null = null;
  statusAtMs = 0;
  conn: ConnState = 'connecting';
  connSinceMs = Date.now();
  connReason = '';
  link: Link;
  zone = new Zone('America/New_York', -18000);
  ownZone = new Zone(null, 0);
  useOwnZone = false;
  symbolsError: string | null = null;
  symbolsLoaded = false;
  playedMs: number | null = null; // the clock of a session that the page plays again
  private clockSkewMs = 0;
  private newestMs = 0; // end of the newest second that the stream told of
  private seconds = new Map<string, { endMs: number; receivedMs: number; healthy: boolean }>();
  private listeners = new Map<keyof Topics, Set<Listener<never>>>();

  constructor(link: Link) {
    this.link = link;
  }

  on<K extends keyof Topics>(topic: K, fn: Listener<Topics[K]>): void {
    let set = this.listeners.get(topic);
    if (!set) this.listeners.set(topic, (set = new Set()));
    set.add(fn as Listener<never>);
  }
  emit<K extends keyof Topics>(topic: K, ...value: Topics[K] extends undefined ? [] : [Topics[K]]): void {
    for (const fn of this.listeners.get(topic) ?? []) (fn as Listener<unknown>)(value[0]);
  }

  get selected(): Sym | null {
    return this.link.symbol ? (this.symbols.get(this.link.symbol) ?? null) : null;
  }
  get simulated(): boolean {
    return this.status?.mode === 'SIMULATED';
  }
  get shownZone(): Zone {
    return this.useOwnZone ? this.ownZone : this.zone;
  }

  /* The model that speaks: the chosen one, else a network, else whatever makes forecasts. */
  get model(): string | null {
    if (this.link.model) return this.link.model;
    const ids = this.modelIds;
    return ids.find((id) => modelName(id).startsWith('lstm')) ?? ids.find((id) => !BASELINES.includes(modelName(id))) ?? ids[0] ?? null;
  }
  /* Models that the server has loaded or that were seen to make a forecast. */
  get modelIds(): string[] {
    return [...new Set([...(this.status?.models ?? []).map((m) => m.id), ...this.seenModels])];
  }
  sawModel(id: string): void {
    if (this.seenModels.size < 32) this.seenModels.add(id);
  }
  private seenModels = new Set<string>();

  takeStatus(s: Status): void {
    const chosen = this.link.model; // exchanged while running: the choice goes on with what took its place
    const place = (this.status?.models ?? []).findIndex((m) => m.id === chosen);
    if (chosen && place >= 0 && s.models?.[place] && !s.models.some((m) => m.id === chosen)) this.link.model = s.models[place].id;
    this.status = s;
    this.statusAtMs = Date.now();
    this.clockSkewMs = toMs(s.now) - Date.now();
    const c = s.calendar;
    if (c && c.zone && c.zone !== this.zone.id) this.zone = new Zone(c.zone, c.offset_s);
    this.emit('status', s);
  }

  /* The server's clock, so that a wrong clock here ages nothing. */
  serverNow(): number {
    return Date.now() + this.clockSkewMs;
  }

  /* What time it is in the market shown: the newest data's time in a replay, else now. */
  marketNow(): number {
    const s = this.status;
    if (this.playedMs !== null) return this.playedMs;
    if (s?.mode !== 'REPLAY') return this.serverNow();
    return Math.max(s.data_time === null ? 0 : toMs(s.data_time), this.newestMs);
  }

  get ended(): boolean {
    const feeds = this.status?.feeds ?? [];
    return feeds.length > 0 && feeds.every((f) => /end|complete|finished|done/i.test(f.state));
  }

  takeRows(rows: SymbolRow[]): void {
    const names = new Set(rows.map((r) => r.symbol));
    for (const name of [...this.symbols.keys()]) if (!names.has(name)) this.symbols.delete(name);
    for (const r of rows) {
      const old = this.symbols.get(r.symbol);
      const lastMs = r.last_time === null ? null : toMs(r.last_time);
      if (old && old.lastMs !== null && lastMs !== null && old.lastMs > lastMs) {
        if (r.last !== null && r.change !== null) old.open = r.last - r.change;
        continue; // the stream was faster than this answer
      }
      const arrow = (kind: 'next' | 'last60'): Arrow | null => {
        const f = r.forecasts?.[kind];
        if (!f || f.value === null) return null;
        return { value: f.value, lo: f.lo, hi: f.hi, reference: r.last, gate: f.gate_open, originMs: lastMs ?? 0 };
      };
      this.symbols.set(r.symbol, {
        symbol: r.symbol,
        feed: r.feed,
        calendar: r.calendar,
        last: r.last,
        lastMs,
        lastStart: old?.lastStart ?? 0,
        open: r.last !== null && r.change !== null ? r.last - r.change : null,
        volume: r.volume,
        bid: r.bid,
        ask: r.ask,
        spark: (r.spark ?? []).filter((v) => Number.isFinite(v)).slice(-SPARK),
        next: arrow('next') ?? old?.next ?? null,
        last60: arrow('last60') ?? old?.last60 ?? null,
        decimals: decimalsFor(r.bid, r.ask, r.spark ?? [], r.last),
        receivedMs: Date.now(),
        dirty: true,
      });
    }
    this.symbolsLoaded = true;
    this.symbolsError = null;
    this.emit('symbols');
  }

  takeBar(b: Bar): void {
    const s = this.symbols.get(b.symbol);
    if (!s || b.interval_ms !== 1000) return;
    const isNew = b.start > s.lastStart;
    if (b.start < s.lastStart) return; // late: of no use for the last price
    const endMs = toMs(b.start) + 1000;
    if (s.lastMs !== null && endMs < s.lastMs) return;
    const counted = s.lastMs !== null && endMs <= s.lastMs;
    s.last = b.close;
    s.lastMs = endMs;
    s.lastStart = b.start;
    if (s.open === null) s.open = b.open;
    if (b.bid !== null) s.bid = b.bid;
    if (b.ask !== null) s.ask = b.ask;
    if (isNew && !counted) {
      s.volume = (s.volume ?? 0) + b.volume;
      s.spark.push(b.close);
      if (s.spark.length > SPARK) s.spark.shift();
    } else if (s.spark.length) s.spark[s.spark.length - 1] = b.close;
    s.receivedMs = Date.now();
    s.dirty = true;
    this.emit('tick', b.symbol);
  }

  takeForecast(f: Forecast): void {
    this.sawModel(f.model);
    const s = this.symbols.get(f.symbol);
    if (!s || (this.model !== null && f.model !== this.model)) return;
    const originMs = toMs(f.origin_time);
    for (const p of f.points) {
      const a: Arrow = {
        value: p.value,
        lo: p.lo,
        hi: p.hi,
        reference: p.kind === 'mid' ? f.reference_mid : f.reference,
        gate: p.gate_open,
        originMs,
      };
      if (p.kind === 'next' && (s.next?.originMs ?? 0) <= originMs) s.next = a;
      if (p.kind === 'last' && p.horizon_ms === 60_000 && (s.last60?.originMs ?? 0) <= originMs) s.last60 = a;
    }
    s.dirty = true;
    this.emit('tick', f.symbol);
  }

  takeSecond(m: SecondMarker): void {
    this.newestMs = Math.max(this.newestMs, toMs(m.second) + 1000);
    this.seconds.set(m.feed, { endMs: toMs(m.second) + 1000, receivedMs: Date.now(), healthy: m.healthy });
  }

  /* How old what we know of a symbol is. A second that was healthy and had no trade is news too: so the age is
   * that of the feed's newest marker or the symbol's newest bar. In a replay event time says nothing about
   * freshness: there the age is the time since anything arrived. */
  ageMs(s: Sym | null): number | null {
    if (!s || s.lastMs === null) return null;
    const m = this.seconds.get(s.feed);
    if (this.status?.mode === 'REPLAY') {
      return Date.now() - Math.max(s.receivedMs, m?.receivedMs ?? 0);
    }
    const end = Math.max(s.lastMs, m?.healthy ? m.endMs : 0);
    return Math.max(0, this.serverNow() - end);
  }

  /* Limit above which data counts as stale. A delayed feed is late by its nature. */
  get staleAfterMs(): number {
    return this.status?.mode === 'DELAYED' ? 16 * 60_000 : 10_000;
  }

  /* Fresh, old because the market rests (no fault), or stale. */
  freshness(ageMs: number | null): 'fresh' | 'rest' | 'stale' | 'none' {
    if (ageMs === null) return 'none';
    if (this.conn === 'lost' && Date.now() - this.connSinceMs > 3000) return 'stale';
    if (ageMs <= this.staleAfterMs) return 'fresh';
    return this.ended || this.status?.calendar?.state === 'closed' ? 'rest' : 'stale';
  }
}
