// Plays a stored session again in the page: the same bars, forecasts and outcomes of one symbol, in the order and
// at the times in which they came, faster. It asks for ten minutes at a time and never for what lies ahead of its
// clock, so nothing can be drawn before its moment. The server knows nothing of it.

import { getJson } from './api';
import { toMs, type Bar, type Forecast, type Outcome } from './types';

const CHUNK_S = 600;
const TICK_MS = 100;

export interface PlayerHandlers {
  bar(b: Bar): void;
  forecast(f: Forecast): void;
  outcome(o: Outcome): void;
  clock(ms: number): void; // a few times a second
  ended(): void;
  failed(e: unknown): void;
}

interface Item {
  atMs: number;
  give(): void;
}

export class Player {
  private items: Item[] = [];
  private loadedMs: number;
  private timer: ReturnType<typeof setInterval>;
  private abort = new AbortController();
  private lastTick = performance.now();
  private loading = false;
  clockMs: number;

  constructor(
    readonly symbol: string,
    readonly openMs: number,
    readonly closeMs: number,
    public speed: number,
    private model: () => string | null,
    private handlers: PlayerHandlers,
  ) {
    this.clockMs = this.loadedMs = openMs;
    this.timer = setInterval(() => this.tick(), TICK_MS);
    void this.load();
  }

  stop(): void {
    clearInterval(this.timer);
    this.abort.abort();
  }

  /* The next ten minutes; the clock waits for them. */
  private async load(): Promise<void> {
    if (this.loading || this.loadedMs >= this.closeMs) return;
    this.loading = true;
    const from = this.loadedMs;
    const to = Math.min(this.closeMs, from + CHUNK_S * 1000);
    const range = { symbol: this.symbol, from: `${from}000000`, to: `${to}000000` };
    try {
      const [a, f] = await Promise.all([
        getJson<{ bars: Bar[] }>('bars', { ...range, interval: '1s', limit: CHUNK_S }, this.abort.signal),
        getJson<{ forecasts: Forecast[]; outcomes: Outcome[] }>('forecasts', { ...range, model: this.model(), limit: 5000 }, this.abort.signal),
      ]);
      this.take(a.bars, f.forecasts, f.outcomes);
      this.loadedMs = to;
    } catch (e) {
      if (this.abort.signal.aborted) return;
      this.stop();
      this.handlers.failed(e);
    } finally {
      this.loading = false;
    }
  }

  private take(bars: Bar[], forecasts: Forecast[], outcomes: Outcome[]): void {
    const fresh: Item[] = bars.map((b) => ({ atMs: toMs(b.start) + 1000, give: () => this.handlers.bar(b) }));
    for (const f of forecasts) fresh.push({ atMs: Math.max(toMs(f.issued), toMs(f.origin_time)), give: () => this.handlers.forecast(f) });
    for (const o of outcomes) for (const v of o.values) fresh.push({ atMs: toMs(v.time), give: () => this.handlers.outcome({ ...o, values: [v] }) });
    this.items = [...this.items, ...fresh].sort((a, b) => a.atMs - b.atMs);
  }

  private tick(): void {
    const now = performance.now();
    const step = (now - this.lastTick) * this.speed;
    this.lastTick = now;
    this.clockMs = Math.min(this.clockMs + step, this.loadedMs);
    if (this.clockMs > this.loadedMs - CHUNK_S * 500) void this.load();
    let n = 0;
    while (n < this.items.length && (this.items[n] as Item).atMs <= this.clockMs) this.items[n++]?.give();
    this.items.splice(0, n);
    this.handlers.clock(this.clockMs);
    if (this.clockMs < this.closeMs) return;
    this.stop();
    this.handlers.ended();
  }
}
