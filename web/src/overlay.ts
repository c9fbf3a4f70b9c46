// What the chart draws over the candles: the forecast with its band at the target time, past forecasts against
// what came, spans of which nothing is known, and marks on revised, late and back-filled bars.

import type {
  AutoscaleInfo,
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesApi,
  ISeriesPrimitive,
  Logical,
  PrimitivePaneViewZOrder,
  SeriesAttachedParameter,
  Time,
} from 'lightweight-charts';
import type { Bars } from './bars';
import type { Pair } from './book';
import type { Colours } from './theme';

type Target = Parameters<IPrimitivePaneRenderer['draw']>[0];

export interface Ahead {
  originS: number; // end of the bar it was made from
  reference: number;
  points: { targetS: number; value: number; lo: number | null; hi: number | null; gate: boolean }[];
  stale: boolean;
}

class View implements IPrimitivePaneView {
  constructor(
    private order: PrimitivePaneViewZOrder,
    private paint: (ctx: CanvasRenderingContext2D, width: number, height: number) => void,
  ) {}
  zOrder(): PrimitivePaneViewZOrder {
    return this.order;
  }
  renderer(): IPrimitivePaneRenderer {
    return {
      draw: (target: Target) =>
        target.useMediaCoordinateSpace(({ context, mediaSize }) => {
          context.save();
          this.paint(context, mediaSize.width, mediaSize.height);
          context.restore();
        }),
    };
  }
}

export class Overlay implements ISeriesPrimitive<Time> {
  ahead: Ahead | null = null;
  trail: Pair[] = [];
  private chart: IChartApi | null = null;
  private series: ISeriesApi<'Candlestick'> | null = null;
  private requestUpdate: (() => void) | null = null;
  private views: IPrimitivePaneView[];

  constructor(
    private bars: () => Bars,
    private colours: () => Colours,
  ) {
    this.views = [
      new View('bottom', (c, w, h) => this.paintGaps(c, w, h)),
      new View('bottom', (c) => this.paintTrail(c)),
      new View('normal', (c, w, h) => this.paintAhead(c, w, h)),
      new View('top', (c, w) => this.paintMarks(c, w)),
    ];
  }

  attached(p: SeriesAttachedParameter<Time>): void {
    this.chart = p.chart as IChartApi;
    this.series = p.series as ISeriesApi<'Candlestick'>;
    this.requestUpdate = p.requestUpdate;
  }
  detached(): void {
    this.chart = this.series = this.requestUpdate = null;
  }
  changed(): void {
    this.requestUpdate?.();
  }
  paneViews(): readonly IPrimitivePaneView[] {
    return this.views;
  }

  /* The price scale makes room for the band of the forecast ahead when it is in view. */
  autoscaleInfo(_from: Logical, to: Logical): AutoscaleInfo | null {
    const a = this.ahead;
    if (!a || this.bars().logical(a.originS) > to) return null;
    let lo = Infinity;
    let hi = -Infinity;
    for (const p of a.points) {
      lo = Math.min(lo, p.lo ?? p.value);
      hi = Math.max(hi, p.hi ?? p.value);
    }
    return Number.isFinite(lo) ? { priceRange: { minValue: lo, maxValue: hi } } : null;
  }

  /* A slot is drawn around its middle, so the end of second t is half a slot right of t's middle. */
  private x(t: number): number | null {
    const bars = this.bars();
    if (!this.chart || bars.axis.length === 0) return null;
    // The library places whole slots only; the spacing of two of them gives every place between.
    const scale = this.chart.timeScale();
    const zero = scale.logicalToCoordinate(0 as Logical);
    const one = scale.logicalToCoordinate(1 as Logical);
    if (zero === null || one === null) return null;
    return zero + (bars.logical(t) - 0.5) * (one - zero);
  }
  private y(v: number): number | null {
    return this.series?.priceToCoordinate(v) ?? null;
  }

  private paintGaps(ctx: CanvasRenderingContext2D, w: number, h: number): void {
    const bars = this.bars();
    if (!bars.gaps.length || !bars.list.length) return;
    const end = (bars.last?.t ?? 0) + bars.step;
    for (const g of bars.gaps) {
      if (g.filled) continue;
      const a = this.x(g.from);
      const b = this.x(Math.min(g.to, end));
      if (a === null || b === null) continue;
      const left = Math.max(0, a);
      const right = Math.min(w, Math.max(b, a + 2));
      if (right <= 0 || left >= w) continue;
      this.hatch(ctx, left, right, h);
      if (right - left > 70) this.label(ctx, `unknown: ${g.reason.replaceAll('_', ' ')}`, left + 6, 34);
    }
  }

  private hatch(ctx: CanvasRenderingContext2D, left: number, right: number, h: number): void {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, 0, right - left, h);
    ctx.clip();
    ctx.strokeStyle = this.colours().hatch;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (let x = Math.floor(left / 7) * 7 - h; x < right; x += 7) {
      ctx.moveTo(x, h);
      ctx.lineTo(x + h, 0);
    }
    ctx.stroke();
    ctx.restore();
  }

  private label(ctx: CanvasRenderingContext2D, text: string, x: number, y: number): void {
    const c = this.colours();
    ctx.font = `500 11px ${c.font}`;
    ctx.fillStyle = c.muted;
    ctx.fillText(text, x, y);
  }

  /* Past forecasts at their target time: the band as a ribbon, the value as a line, what fell outside as a mark. */
  private paintTrail(ctx: CanvasRenderingContext2D): void {
    if (!this.trail.length || !this.chart) return;
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const bars = this.bars();
    const c = this.colours();
    const shown = this.trail.filter((p) => {
      const l = bars.logical(p.targetMs / 1000);
      return l >= range.from - 2 && l <= range.to + 2;
    });
    let run: { x: number; lo: number; hi: number; v: number }[] = [];
    let lastT = -Infinity;
    const flush = () => {
      if (run.length > 1) this.ribbon(ctx, run, c);
      run = [];
    };
    for (const p of shown) {
      const t = p.targetMs / 1000;
      const x = this.x(t);
      const lo = this.y(p.lo ?? p.value);
      const hi = this.y(p.hi ?? p.value);
      const v = this.y(p.value);
      if (x === null || lo === null || hi === null || v === null) continue;
      if (t - lastT > 15 * bars.step) flush();
      lastT = t;
      run.push({ x, lo, hi, v });
    }
    flush();
    ctx.fillStyle = c.warn;
    for (const p of shown) {
      if (p.actual === null || p.lo === null || p.hi === null || (p.actual >= p.lo && p.actual <= p.hi)) continue;
      const x = this.x(p.targetMs / 1000);
      const y = this.y(p.actual);
      if (x === null || y === null) continue;
      ctx.beginPath();
      ctx.arc(x, y, 2.2, 0, Math.PI * 2);
      ctx.fill();
    }
  }

  private ribbon(ctx: CanvasRenderingContext2D, run: { x: number; lo: number; hi: number; v: number }[], c: Colours): void {
    ctx.beginPath();
    run.forEach((p, i) => (i ? ctx.lineTo(p.x, p.hi) : ctx.moveTo(p.x, p.hi)));
    for (let i = run.length - 1; i >= 0; i--) {
      const p = run[i];
      if (p) ctx.lineTo(p.x, p.lo);
    }
    ctx.closePath();
    ctx.fillStyle = c.band;
    ctx.fill();
    ctx.beginPath();
    run.forEach((p, i) => (i ? ctx.lineTo(p.x, p.v) : ctx.moveTo(p.x, p.v)));
    ctx.strokeStyle = c.forecast;
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = 1;
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  private paintAhead(ctx: CanvasRenderingContext2D, w: number, h: number): void {
    const a = this.ahead;
    if (!a || !a.points.length) return;
    const x0 = this.x(a.originS);
    const y0 = this.y(a.reference);
    if (x0 === null || y0 === null || x0 > w) return;
    const c = this.colours();
    const pts = a.points
      .map((p) => ({ x: this.x(p.targetS), v: this.y(p.value), lo: this.y(p.lo ?? p.value), hi: this.y(p.hi ?? p.value), p }))
      .filter((q): q is { x: number; v: number; lo: number; hi: number; p: Ahead['points'][number] } =>
        q.x !== null && q.v !== null && q.lo !== null && q.hi !== null,
      );
    if (!pts.length) return;
    this.nowLine(ctx, x0, h, c);
    ctx.globalAlpha = a.stale ? 0.35 : 1;
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    for (const q of pts) ctx.lineTo(q.x, q.hi);
    for (const q of [...pts].reverse()) ctx.lineTo(q.x, q.lo);
    ctx.closePath();
    ctx.fillStyle = c.band;
    ctx.fill();
    this.path(ctx, x0, y0, pts.filter((q) => !q.p.gate), c.muted, [3, 3]);
    this.path(ctx, x0, y0, pts.filter((q) => q.p.gate), c.forecast, []);
    for (const q of pts) this.targetMark(ctx, q, c);
    ctx.globalAlpha = 1;
  }

  private path(ctx: CanvasRenderingContext2D, x: number, y: number, to: { x: number; v: number }[], colour: string, dash: number[]): void {
    if (!to.length) return;
    ctx.strokeStyle = colour;
    ctx.setLineDash(dash);
    ctx.lineWidth = 1.6;
    ctx.beginPath();
    ctx.moveTo(x, y);
    for (const q of to) ctx.lineTo(q.x, q.v);
    ctx.stroke();
    ctx.setLineDash([]);
  }

  private nowLine(ctx: CanvasRenderingContext2D, x: number, h: number, c: Colours): void {
    ctx.strokeStyle = c.line;
    ctx.lineWidth = 1;
    ctx.setLineDash([2, 4]);
    ctx.beginPath();
    ctx.moveTo(Math.round(x) + 0.5, 0);
    ctx.lineTo(Math.round(x) + 0.5, h);
    ctx.stroke();
    ctx.setLineDash([]);
  }

  private targetMark(ctx: CanvasRenderingContext2D, q: { x: number; v: number; lo: number; hi: number; p: { gate: boolean } }, c: Colours): void {
    const colour = q.p.gate ? c.forecast : c.muted;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (const y of [q.lo, q.hi]) {
      ctx.moveTo(q.x - 3, y);
      ctx.lineTo(q.x + 3, y);
    }
    ctx.moveTo(q.x, q.lo);
    ctx.lineTo(q.x, q.hi);
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(q.x, q.v, 3, 0, Math.PI * 2);
    ctx.fillStyle = q.p.gate ? colour : c.bg;
    ctx.fill();
    ctx.lineWidth = 1.4;
    ctx.stroke();
  }

  /* Above the bar: R revised, B back-filled, L came late; letters, so that colour alone says nothing. */
  private paintMarks(ctx: CanvasRenderingContext2D, w: number): void {
    const bars = this.bars();
    const range = this.chart?.timeScale().getVisibleLogicalRange();
    const c = this.colours();
    if (!range || !bars.list.length || range.to - range.from > w / 3) return;
    ctx.font = `700 10px ${c.font}`;
    ctx.textAlign = 'center';
    ctx.fillStyle = c.warn;
    const from = bars.axis[Math.max(0, Math.floor(range.from))] ?? 0;
    for (let i = bars.list.length - 1; i >= 0; i--) {
      const b = bars.list[i];
      if (!b || b.t < from) break;
      const letter = markOf(b);
      if (!letter) continue;
      const x = this.x(b.t + bars.step / 2);
      const y = this.y(b.high);
      if (x !== null && y !== null) ctx.fillText(letter, x, y - 5);
    }
    ctx.textAlign = 'start';
  }
}

export function markOf(b: { revision: number; origin: string; late: boolean }): string {
  return b.origin === 'backfill' ? 'B' : b.revision > 0 ? 'R' : b.late ? 'L' : '';
}
