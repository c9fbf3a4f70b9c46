// Small pictures over time: skill ratio, coverage of the band, residuals, age of the data. uPlot draws them.

import uPlot from 'uplot';
import { rolling, type Pair } from './book';
import { el, setAttr, setText } from './dom';
import { num, pct, signed } from './format';
import type { State } from './state';
import type { Theme } from './theme';

export type StripId = 'ratio' | 'coverage' | 'residual' | 'age';

interface Spec {
  id: StripId;
  title: string;
  hint: string;
  line: number | null; // a level to compare with
  points: boolean;
  format(v: number, decimals: number): string;
  range(min: number | null, max: number | null): [number, number];
}

const around = (mid: number, least: number, min: number | null, max: number | null): [number, number] => {
  const reach = Math.max(least, Math.abs((max ?? mid) - mid), Math.abs((min ?? mid) - mid)) * 1.1;
  return [mid - reach, mid + reach];
};

const SPECS: Spec[] = [
  {
    id: 'ratio',
    title: 'Error ÷ no change',
    hint: 'last 200; below 1 is better',
    line: 1,
    points: false,
    format: (v) => num(v, 3),
    range: (a, b) => around(1, 0.02, a, b),
  },
  {
    id: 'coverage',
    title: 'Band held',
    hint: 'last 200; 90 % is promised',
    line: 0.9,
    points: false,
    format: (v) => pct(v, 1),
    range: (a, b) => [Math.min(0.75, a ?? 0.75), Math.max(1, b ?? 1)],
  },
  {
    id: 'residual',
    title: 'Residuals',
    hint: 'what came less what was said',
    line: 0,
    points: true,
    format: (v, d) => signed(v, d + 1),
    range: (a, b) => around(0, 1e-6, a, b),
  },
];

export const AGE_SPEC: Spec = {
  id: 'age',
  title: 'Data age',
  hint: 's, last 10 minutes',
  line: null,
  points: false,
  format: (v) => `${num(v, 1)} s`,
  range: (_a, b) => [0, Math.max(2, (b ?? 2) * 1.15)],
};

export interface StripData {
  t: number[];
  v: (number | null)[];
}

class Strip {
  readonly root: HTMLElement;
  private host = el('div', { class: 'strip-plot' });
  private value = el('b', { class: 'strip-value' });
  private plot: uPlot | null = null;
  private data: StripData = { t: [], v: [] };
  private decimals = 2;
  private axisShown: boolean;

  constructor(
    readonly spec: Spec,
    private state: State,
    private theme: Theme,
    open: (() => void) | null,
    private height = 0,
  ) {
    this.axisShown = spec.id === 'residual' || spec.id === 'age'; // one time axis below the three strips
    const head = el('div', { class: 'strip-head' }, el('span', { class: 'strip-title', text: spec.title }), el('span', { class: 'strip-hint', text: spec.hint }), this.value);
    if (open) {
      const b = el('button', { type: 'button', class: 'text-button', text: 'Open', 'aria-label': `Open ${spec.title}, full view` });
      b.addEventListener('click', open);
      head.append(b);
    }
    this.host.setAttribute('role', 'img');
    this.root = el('figure', { class: `strip strip-${spec.id}` }, head, this.host);
    new ResizeObserver(() => this.fit()).observe(this.host);
  }

  private options(width: number, height: number): uPlot.Options {
    const c = this.theme.colours;
    const s = this.spec;
    const font = `10px ${c.font}`;
    const axis = { stroke: c.muted, font, grid: { stroke: c.faint, width: 1 }, ticks: { show: false } };
    const colour = s.id === 'age' ? c.muted : c.forecast;
    const big = this.height > 0;
    return {
      width,
      height,
      legend: { show: false },
      padding: [6, 8, 0, 0],
      cursor: { points: { show: !s.points }, drag: { x: big, y: false }, y: false },
      scales: { x: { time: true }, y: { range: (_u, a, b) => s.range(a, b) } },
      axes: [
        { ...axis, size: big || this.axisShown ? 18 : 4, gap: 2, space: 70, values: (_u, at) => at.map((v) => (big || this.axisShown ? this.state.shownZone.time(v * 1000, this.spanS() < 300) : '')) },
        { ...axis, size: big ? 64 : 46, gap: 3, space: (_u, _i, _a, _b, dim) => (dim > 130 ? 34 : 18), values: (_u, at) => at.map((v) => this.label(v)) },
      ],
      series: [
        {},
        s.points
          ? { stroke: colour, paths: () => null, points: { show: true, size: big ? 4 : 3, fill: `${colour}`, stroke: colour, width: 0 } }
          : { stroke: colour, width: 1.4, spanGaps: false, points: { show: false } },
      ],
      hooks: {
        drawClear: [(u) => this.level(u)],
        setCursor: [(u) => this.readout(u.cursor.idx ?? null)],
      },
    };
  }

  private spanS(): number {
    const t = this.data.t;
    return t.length ? (t[t.length - 1] as number) - (t[0] as number) : 0;
  }

  private label(v: number): string {
    if (this.spec.id === 'coverage') return pct(v, 0);
    if (this.spec.id === 'ratio') return num(v, 2);
    return this.spec.id === 'age' ? num(v, v % 1 ? 1 : 0) : signed(v, Math.min(4, this.decimals + (this.height ? 1 : 0)));
  }

  private level(u: uPlot): void {
    if (this.spec.line === null) return;
    const y = Math.round(u.valToPos(this.spec.line, 'y', true)) + 0.5;
    u.ctx.save();
    u.ctx.strokeStyle = this.theme.colours.muted;
    u.ctx.setLineDash([4, 4]);
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
    u.ctx.restore();
  }

  private readout(i: number | null): void {
    const at = i ?? this.lastKnown();
    const v = at === null ? null : this.data.v[at];
    const when = i === null || at === null ? '' : ` at ${this.state.shownZone.time((this.data.t[at] as number) * 1000)}`;
    setText(this.value, v === null || v === undefined ? '' : `${this.spec.format(v, this.decimals)}${when}`);
  }

  private lastKnown(): number | null {
    for (let i = this.data.v.length - 1; i >= 0; i--) if (this.data.v[i] !== null) return i;
    return null;
  }

  set(data: StripData, decimals: number): void {
    this.data = data;
    this.decimals = decimals;
    if (!this.plot) this.fit();
    else this.plot.setData([data.t, data.v]);
    this.readout(this.plot?.cursor.idx ?? null);
    const at = this.lastKnown();
    const v = at === null ? null : this.data.v[at];
    setAttr(this.host, 'aria-label', `${this.spec.title}, ${this.spec.hint}: ${v === null || v === undefined ? 'nothing yet' : `${this.spec.format(v, decimals)} now, ${data.t.length} points`}`);
  }

  private fit(): void {
    const width = this.host.clientWidth;
    const height = this.host.clientHeight;
    if (width < 40 || height < 24) return;
    if (this.plot) this.plot.setSize({ width, height });
    else this.plot = new uPlot(this.options(width, height), [this.data.t, this.data.v], this.host);
  }

  look(): void {
    this.plot?.destroy();
    this.plot = null;
    this.fit();
  }

  destroy(): void {
    this.plot?.destroy();
    this.plot = null;
  }

  picture(): HTMLCanvasElement | null {
    return this.plot?.ctx.canvas ?? null;
  }
}

export const WINDOW = 200;

export class Strips {
  private strips: Strip[];
  private data = new Map<StripId, StripData>();
  private full: Strip | null = null;
  private decimals = 2;

  constructor(
    body: HTMLElement,
    private state: State,
    private theme: Theme,
    open: (id: StripId) => void,
  ) {
    this.strips = SPECS.map((s) => new Strip(s, state, theme, () => open(s.id)));
    body.append(...this.strips.map((s) => s.root));
  }

  /* n of resolved forecasts shown. */
  set(pairs: Pair[], decimals: number): number {
    const r = rolling(pairs, WINDOW);
    this.decimals = decimals;
    this.data.set('ratio', { t: r.t, v: r.ratio });
    this.data.set('coverage', { t: r.t, v: r.coverage });
    this.data.set('residual', { t: r.t, v: r.residual });
    for (const s of this.strips) s.set(this.of(s.spec.id), decimals);
    this.full?.set(this.of(this.full.spec.id), decimals);
    return r.t.length;
  }

  private of(id: StripId): StripData {
    return this.data.get(id) ?? { t: [], v: [] };
  }

  setAge(data: StripData): void {
    this.data.set('age', data);
    if (this.full?.spec.id === 'age') this.full.set(data, 1);
  }

  openFull(id: StripId, host: HTMLElement): { title: string; table: () => { head: string[]; rows: (string | number | null)[][] }; picture: () => HTMLCanvasElement | null; close: () => void } {
    const spec = [...SPECS, AGE_SPEC].find((s) => s.id === id) ?? AGE_SPEC;
    const strip = new Strip(spec, this.state, this.theme, null, 1);
    this.full = strip;
    host.append(strip.root);
    strip.set(this.of(id), this.decimals);
    return {
      title: `${spec.title}: ${spec.hint}`,
      table: () => ({ head: ['time_utc', id], rows: this.of(id).t.map((t, i) => [new Date(t * 1000).toISOString(), this.of(id).v[i] ?? null]) }),
      picture: () => strip.picture(),
      close: () => {
        strip.destroy();
        this.full = null;
      },
    };
  }

  look(): void {
    for (const s of this.strips) s.look();
    this.full?.look();
  }
}

export function makeAgeStrip(state: State, theme: Theme, open: () => void): { root: HTMLElement; set(d: StripData): void; look(): void } {
  const s = new Strip(AGE_SPEC, state, theme, open);
  return { root: s.root, set: (d) => s.set(d, 1), look: () => s.look() };
}
