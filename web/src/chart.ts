// The price chart: candles, volume, forecast ahead, past forecasts. Bars may come in any order at any time.

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  createChart,
  createTextWatermark,
  type IChartApi,
  type ISeriesApi,
  type MouseEventParams,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts';
import { Bars, toCandle, type Candle } from './bars';
import type { Book, Pair } from './book';
import { el, patch, perFrame, setAttr, setText, throttle } from './dom';
import { age, compact, int, num, signed } from './format';
import { type Minute } from './posts';
import { Overlay, markOf, type Ahead } from './overlay';
import type { State } from './state';
import type { Theme } from './theme';
import { INTERVAL_MS, targetName, toMs, type Bar, type Forecast, type Gap, type Interval, type Kind } from './types';

const AHEAD: Record<Interval, number> = { '1s': 64, '1m': 3, '1h': 2 };
const SHOWN: Record<Interval, number> = { '1s': 190, '1m': 180, '1h': 120 }; // slots at first sight
const WORDS: Record<string, string> = { R: 'revised', B: 'back-filled', L: 'came late' };

export interface ChartHooks {
  needOlder(): void;
  rangeChanged(slots: number): void;
}

const time = (t: number) => t as UTCTimestamp;

export class Chart {
  bars = new Bars(1, AHEAD['1s']);
  interval: Interval = '1s';
  trailTarget: { kind: Kind; horizonMs: number } | null = { kind: 'last', horizonMs: 1000 };
  aheadKind: Kind = 'last';
  private chart: IChartApi;
  private candles: ISeriesApi<'Candlestick'>;
  private volume: ISeriesApi<'Histogram'>;
  private slots: ISeriesApi<'Line'>; // whitespace only: makes every slot exist, also those of targets to come
  private moods: ISeriesApi<'Histogram'> | null = null; // the posts' mean a minute, in a strip of its own below
  private minutes = new Map<number, Minute>();
  private slotsEnd = 0;
  private overlay: Overlay;
  private book: Book | null = null;
  private hover: number | null = null;
  private rebuild: () => void;
  private relegend: () => void;
  private older = throttle(250, () => {
    const r = this.chart.timeScale().getVisibleLogicalRange();
    if (r && r.from < 60 && !this.awaiting) this.hooks.needOlder();
  });
  private redraw: () => void;
  private decimals = 2;
  private pairs: Pair[] = [];
  private ranged = false;
  private pendingRange: number | null = null; // slots to show once bars are there
  private awaiting = true; // the first answer has still to come; the stream may be faster

  constructor(
    private root: HTMLElement,
    private legend: HTMLElement,
    private said: HTMLElement,
    private latest: HTMLButtonElement,
    private state: State,
    private theme: Theme,
    private hooks: ChartHooks,
  ) {
    this.chart = createChart(root, {
      autoSize: true,
      layout: { attributionLogo: false, background: { type: ColorType.Solid, color: 'transparent' }, fontSize: 11 },
      crosshair: { mode: CrosshairMode.Normal },
      handleScroll: { vertTouchDrag: false }, // on a phone the page below is reached by swiping over the chart
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.2 }, minimumWidth: 64 },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        secondsVisible: true,
        rightOffset: AHEAD['1s'],
        shiftVisibleRangeOnNewBar: true,
        allowShiftVisibleRangeOnWhitespaceReplacement: true,
        minBarSpacing: 0.2,
        tickMarkFormatter: (t: Time, type: number) => this.tick(t as number, type),
      },
      localization: { timeFormatter: (t: Time) => this.stamp(t as number) },
    });
    this.slots = this.chart.addSeries(LineSeries, { lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume',
      priceFormat: { type: 'volume' },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineStyle: 1 });
    this.overlay = new Overlay(
      () => this.bars,
      () => theme.colours,
    );
    this.candles.attachPrimitive(this.overlay);
    this.rebuild = perFrame(() => this.setAll());
    this.relegend = perFrame(() => this.writeLegend());
    this.redraw = perFrame(() => this.drawForecasts());
    this.chart.subscribeCrosshairMove((p: MouseEventParams) => {
      this.hover = p.time === undefined ? null : (p.time as number);
      this.relegend();
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.rangeMoved());
    root.addEventListener('keydown', (e) => this.key(e));
    latest.addEventListener('click', () => this.toLatest());
    this.look();
  }

  look(): void {
    const c = this.theme.colours;
    this.chart.applyOptions({
      layout: { textColor: c.muted, fontFamily: c.font, fontSize: innerWidth >= 3200 ? 15 : innerWidth >= 2000 ? 12 : 11, background: { type: ColorType.Solid, color: c.bg }, panes: { separatorColor: c.line, separatorHoverColor: c.faint, enableResize: false } },
      grid: { vertLines: { color: c.faint }, horzLines: { color: c.faint } },
      crosshair: {
        vertLine: { color: c.muted, labelBackgroundColor: c.accent },
        horzLine: { color: c.muted, labelBackgroundColor: c.accent },
      },
    });
    this.candles.applyOptions({ upColor: c.up, downColor: c.down, wickUpColor: c.up, wickDownColor: c.down, priceLineColor: c.muted });
    this.volume.applyOptions({ color: c.line });
    this.dropMoods(); // made anew in the new colours
    this.rebuild();
    this.overlay.changed();
  }

  /* Starts anew with another symbol or interval. */
  open(interval: Interval, book: Book | null, decimals: number, range: number | null): void {
    this.interval = interval;
    this.bars = new Bars(INTERVAL_MS[interval] / 1000, AHEAD[interval], interval === '1h' ? 0 : 900);
    this.book = book;
    this.decimals = decimals;
    this.overlay.ahead = null;
    this.overlay.trail = [];
    this.pairs = [];
    this.hover = null;
    this.ranged = false;
    this.chart.applyOptions({ timeScale: { secondsVisible: interval === '1s', tickMarkMaxCharacterLength: interval === '1h' ? 13 : 8, rightOffset: AHEAD[interval] } });
    this.candles.applyOptions({ priceFormat: { type: 'price', precision: decimals, minMove: 1 / 10 ** decimals } });
    this.setAll();
    this.pendingRange = range ?? SHOWN[interval];
    this.awaiting = true;
    this.writeLegend();
  }

  load(bars: Bar[], gaps: Gap[]): void {
    for (const g of gaps) this.bars.putGap(g);
    const first = this.awaiting;
    this.awaiting = false;
    const before = this.bars.axis.length;
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const end = this.bars.last?.t ?? null;
    const added = this.bars.putAll(bars.map(toCandle));
    if (!added && !first) return;
    this.setAll();
    if (first) this.firstRange();
    else if (range && end !== null && this.bars.last?.t === end) {
      const shift = this.bars.axis.length - before;
      this.chart.timeScale().setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
    }
    this.relegend();
  }

  private firstRange(): void {
    const last = this.bars.last;
    if (!this.pendingRange || !last) return;
    const n = Math.max(40, Math.min(this.pendingRange, this.bars.axis.length + 4)); // few bars: no empty half
    const to = this.bars.logical(last.t) + AHEAD[this.interval];
    this.chart.timeScale().setVisibleLogicalRange({ from: to - n, to });
    this.pendingRange = null;
    this.ranged = true;
  }

  /* One bar of the stream: new, revised or late. */
  put(bar: Bar): void {
    const c = toCandle(bar);
    const change = this.bars.put(c);
    if (change === 'none') return;
    if (change === 'append' && this.bars.trim()) return this.rebuild();
    if (change === 'append' || change === 'last') {
      this.drawBar(this.bars.last ?? c, false);
      this.drawSlots();
      if (!this.awaiting) this.firstRange();
    } else if (this.bars.hasSlot(c.t)) {
      this.drawBar(this.bars.at(c.t) ?? c, true);
    } else {
      this.bars.rebuildAxis();
      this.rebuild();
    }
    this.overlay.changed();
    this.relegend();
  }

  /* Seconds of the minute or hour that runs: price at once; volume comes exact with the next answer. */
  putSecond(bar: Bar): void {
    const t = Math.floor(bar.start / 1e9 / this.bars.step) * this.bars.step;
    const old = this.bars.at(t);
    if (old && this.bars.last !== old) return;
    const c: Candle = old
      ? { ...old, high: Math.max(old.high, bar.high), low: Math.min(old.low, bar.low), close: bar.close, availableMs: toMs(bar.available ?? bar.start) }
      : { ...toCandle(bar), t };
    if (this.bars.put(c) === 'none') return;
    this.drawBar(c, false);
    this.drawSlots();
    this.relegend();
  }

  gap(g: Gap): void {
    this.bars.putGap(g);
    this.overlay.changed();
  }

  forecasts(): void {
    this.redraw();
  }

  setTrail(target: { kind: Kind; horizonMs: number } | null): void {
    this.trailTarget = target;
    this.redraw();
  }

  toLatest(): void {
    this.chart.timeScale().scrollToRealTime();
  }

  zoom(factor: number): void {
    const scale = this.chart.timeScale();
    const r = scale.getVisibleLogicalRange();
    if (!r) return;
    const width = Math.min(20_000, Math.max(10, (r.to - r.from) * factor));
    scale.setVisibleLogicalRange({ from: r.to - width, to: r.to });
  }

  pan(share: number): void {
    const scale = this.chart.timeScale();
    const r = scale.getVisibleLogicalRange();
    if (!r) return;
    const by = (r.to - r.from) * share;
    scale.setVisibleLogicalRange({ from: r.from + by, to: r.to + by });
  }

  private key(e: KeyboardEvent): void {
    const act: Record<string, () => void> = {
      ArrowLeft: () => this.pan(-0.15),
      ArrowRight: () => this.pan(0.15),
      '+': () => this.zoom(0.8),
      '=': () => this.zoom(0.8),
      '-': () => this.zoom(1.25),
      End: () => this.toLatest(),
    };
    const fn = e.ctrlKey || e.metaKey || e.altKey ? undefined : act[e.key];
    if (!fn) return;
    e.preventDefault();
    e.stopPropagation();
    fn();
  }

  private colour(c: Candle): string {
    return c.close >= c.open ? this.theme.colours.up : this.theme.colours.down;
  }

  private drawBar(c: Candle, historical: boolean): void {
    this.candles.update({ time: time(c.t), open: c.open, high: c.high, low: c.low, close: c.close }, historical);
    this.volume.update({ time: time(c.t), value: c.volume, color: `${this.colour(c)}66` }, historical);
  }

  setMoods(minutes: Map<number, Minute>): void {
    this.minutes = minutes;
    this.drawMoods();
  }

  private dropMoods(): void {
    if (this.moods) this.chart.removeSeries(this.moods);
    this.root.parentElement?.classList.remove('with-moods');
    this.moods = null;
  }

  private makeMoods(): ISeriesApi<'Histogram'> {
    const c = this.theme.colours;
    const series = this.chart.addSeries(
      HistogramSeries,
      {
        base: 0,
        lastValueVisible: false,
        priceLineVisible: false,
        priceFormat: { type: 'custom', minMove: 0.01, formatter: (v: number) => signed(v, 1) },
        autoscaleInfoProvider: () => ({ priceRange: { minValue: -1, maxValue: 1 } }),
      },
      1,
    );
    series.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0.08 } });
    const pane = this.chart.panes()[1];
    if (pane) {
      pane.setHeight(64);
      createTextWatermark(pane, { horzAlign: 'left', vertAlign: 'top', lines: [{ text: ' Posts: mean sentiment of each minute, +1 to −1', color: c.muted, fontSize: 11, fontFamily: c.font }] });
    }
    return series;
  }

  /* Each slot of the axis takes the mentions of its minute, or of all its minutes. */
  private drawMoods(): void {
    if (!this.minutes.size) {
      this.dropMoods();
      return;
    }
    this.moods ??= this.makeMoods();
    this.root.parentElement?.classList.add('with-moods');
    const c = this.theme.colours;
    const step = INTERVAL_MS[this.interval] / 1000;
    const data: { time: UTCTimestamp; value: number; color: string }[] = [];
    const last = this.bars.list[this.bars.list.length - 1]?.t ?? 0;
    for (const t of this.bars.axis) {
      if (t > last) break;
      let n = 0;
      let sum = 0;
      for (let m = Math.floor(t / 60) * 60; m < t + step; m += 60) {
        const minute = this.minutes.get(m);
        n += minute?.n ?? 0;
        sum += minute ? minute.n * minute.mean : 0;
      }
      if (n) data.push({ time: time(t), value: sum / n, color: `${sum / n > 0.05 ? c.up : sum / n < -0.05 ? c.down : c.muted}b0` });
    }
    this.moods.setData(data);
  }

  private remood = throttle(2000, () => this.drawMoods());

  private drawSlots(): void {
    const axis = this.bars.axis;
    let i = axis.length;
    while (i > 0 && (axis[i - 1] as number) > this.slotsEnd) i--;
    for (; i < axis.length; i++) this.slots.update({ time: time(axis[i] as number) });
    this.slotsEnd = axis[axis.length - 1] ?? 0;
    if (this.minutes.size) this.remood();
  }

  private setAll(): void {
    const list = this.bars.list;
    this.slots.setData(this.bars.axis.map((t) => ({ time: time(t) })));
    this.slotsEnd = this.bars.axis[this.bars.axis.length - 1] ?? 0;
    this.volume.setData(list.map((c) => ({ time: time(c.t), value: c.volume, color: `${this.colour(c)}66` })));
    this.candles.setData(list.map((c) => ({ time: time(c.t), open: c.open, high: c.high, low: c.low, close: c.close })));
    this.drawMoods();
    this.overlay.changed();
  }

  private drawForecasts(): void {
    const model = this.state.model;
    const f = this.book?.latest(model) ?? null;
    this.overlay.ahead = f ? this.aheadOf(f) : null;
    this.retrail();
    this.overlay.changed();
    this.describe();
  }

  private retrail = throttle(250, () => {
    const model = this.state.model;
    const t = this.trailTarget;
    this.pairs = t && this.book && this.interval === '1s' ? this.book.pairs(model, t.kind, t.horizonMs, 3000) : [];
    this.overlay.trail = this.pairs.filter((p) => p.actual !== null || p.targetMs / 1000 <= (this.bars.last?.t ?? 0) + this.bars.step);
    this.overlay.changed();
  });

  private aheadOf(f: Forecast): Ahead {
    const kind = f.points.some((p) => p.kind === this.aheadKind) ? this.aheadKind : 'last';
    const originS = f.origin_time / 1e9;
    const reference = (kind === 'mid' ? f.reference_mid : f.reference) ?? f.reference;
    return {
      originS,
      reference,
      stale: this.state.freshness(this.state.ageMs(this.state.selected)) === 'stale',
      points: f.points
        .filter((p) => p.kind === kind && p.horizon_ms > 0)
        .sort((a, b) => a.horizon_ms - b.horizon_ms)
        // While the gate is closed the model does not speak: "no change" is drawn in its place.
        .map((p) => ({ targetS: originS + p.horizon_ms / 1000, value: p.gate_open ? p.value : reference, lo: p.lo, hi: p.hi, gate: p.gate_open })),
    };
  }

  private tick(t: number, type: number): string {
    const z = this.state.shownZone;
    const ms = t * 1000;
    // The library's days are UTC's; ours are the zone's, so an hour is written with its day.
    if (this.interval === '1h') return `${z.dayShort(ms)} ${z.time(ms, false)}`;
    if (type <= 2 && z.parts(ms).getUTCHours() < 12) return z.dayShort(ms);
    return z.time(ms, this.interval === '1s' && type === 4);
  }

  private stamp(t: number): string {
    return `${this.state.shownZone.full(t * 1000)} ${this.state.shownZone.name}`;
  }

  private rangeMoved(): void {
    const r = this.chart.timeScale().getVisibleLogicalRange();
    if (!r || this.awaiting || !this.bars.list.length) return;
    if (r.from < 60) this.older();
    const last = this.bars.logical(this.bars.last?.t ?? 0);
    this.latest.hidden = r.to > last;
    if (this.ranged) this.hooks.rangeChanged(Math.round(r.to - r.from));
  }

  private writeLegend(): void {
    const d = this.decimals;
    const c = (this.hover !== null ? this.bars.at(this.hover) : null) ?? (this.hover === null ? this.bars.last : null);
    const parts: Node[] = [];
    const item = (k: string, v: string, cls = '') => parts.push(el('span', { class: cls }, el('i', { text: k }), v));
    if (c) {
      const dir = c.close > c.open ? 'up' : c.close < c.open ? 'down' : '';
      const z = this.state.shownZone;
      if (this.hover !== null) item('', z.time(c.t * 1000, this.interval === '1s'), 'when');
      item('O', num(c.open, d));
      item('H', num(c.high, d));
      item('L', num(c.low, d));
      item('C', num(c.close, d), dir);
      item('', signed(c.close - c.open, d), dir);
      item('Vol', compact(c.volume));
      if (c.trades !== null) item('Trades', int(c.trades));
      const mark = markOf(c);
      if (mark) item('', c.revision > 1 ? `revised ${c.revision} times` : (WORDS[mark] ?? ''), 'warn');
    } else if (this.hover !== null) {
      item('', this.state.shownZone.time(this.hover * 1000, this.interval === '1s'), 'when');
      item('', this.emptyWord(this.hover));
    }
    let said = '';
    const p = this.hover === null ? null : this.pairAt(this.hover);
    if (p && this.trailTarget) {
      const came = p.actual === null ? 'not scored yet' : `came ${num(p.actual, d)}`;
      said = `${targetName(this.trailTarget.kind, this.trailTarget.horizonMs)} said ${num(p.value, d + 1)}, band ${num(p.lo, d)} to ${num(p.hi, d)}; ${came}`;
    }
    patch(this.legend, parts);
    setText(this.said, said); // over the chart: a line that comes and goes must not move it
  }

  private emptyWord(t: number): string {
    if (t > (this.bars.last?.t ?? 0)) return 'still to come';
    const gap = this.bars.gaps.find((g) => !g.filled && t >= g.from && t < g.to);
    return gap ? `unknown: ${gap.reason.replaceAll('_', ' ')}` : 'no trade';
  }

  private pairAt(t: number): Pair | null {
    const ms = (t + this.bars.step) * 1000;
    return this.pairs.find((p) => Math.abs(p.targetMs - ms) < 500) ?? null;
  }

  /* For screen readers: what a glance at the chart gives. */
  private describe = throttle(2000, () => {
    const s = this.state.selected;
    const a = this.overlay.ahead;
    if (!s) return;
    const d = this.decimals;
    const fc = (a?.points ?? []).map(
      (p) => `in ${Math.round(p.targetS - (a?.originS ?? 0))} s ${num(p.value, d + 1)}, band ${num(p.lo, d)} to ${num(p.hi, d)}${p.gate ? '' : ', no change, gate closed'}`,
    );
    const n = this.bars.list.length;
    setAttr(
      this.root,
      'aria-label',
      `Price chart of ${s.symbol}, ${n} bars of ${this.interval}. Last ${num(s.last, d)}, ${age(this.state.ageMs(s))} old. ` +
        (fc.length ? `Forecast ${fc.join('; ')}.` : 'No forecast yet.'),
    );
  });

  picture(): HTMLCanvasElement {
    return this.chart.takeScreenshot(true);
  }

  table(): { head: string[]; rows: (string | number | null)[][] } {
    return {
      head: ['start_utc', 'open', 'high', 'low', 'close', 'volume', 'trades', 'origin', 'revision'],
      rows: this.bars.list.map((c) => [new Date(c.t * 1000).toISOString(), c.open, c.high, c.low, c.close, c.volume, c.trades, c.origin, c.revision]),
    };
  }

  /* Numbers for the browser test: read-only. */
  probe(): { bars: number; lastStart: number | null; aheadTargets: number[]; trail: number; late: number; revised: number; slots: number } {
    return {
      bars: this.bars.list.length,
      lastStart: this.bars.last?.t ?? null,
      aheadTargets: this.overlay.ahead?.points.map((p) => p.targetS) ?? [],
      trail: this.overlay.trail.length,
      late: this.bars.list.filter((c) => c.late).length,
      revised: this.bars.list.filter((c) => c.revision > 0).length,
      slots: this.bars.axis.length,
    };
  }

  setMessage(node: HTMLElement, text: string | null): void {
    node.hidden = text === null;
    if (text !== null) setText(node, text);
  }
}
