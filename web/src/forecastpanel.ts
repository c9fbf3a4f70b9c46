// "Forecast now": each target of the selected symbol with value, band, gate; below, the latest against what came.

import type { Book } from './book';
import { el, patch, setText } from './dom';
import { NONE, int, num, pct, signed } from './format';
import type { State } from './state';
import { targetName, toMs, type Forecast, type Kind, type Point, type Score } from './types';

const FLAG_WORDS: Record<string, string> = {
  late: 'issued too late to count',
  cold: 'still warming up',
  stale: 'made after a hole in the data',
  out_of_domain: 'an input left the range of the training',
  price_level: 'an imported model that forecasts the price itself',
};

export class ForecastPanel {
  constructor(
    private body: HTMLElement,
    private message: HTMLElement,
    private state: State,
    private book: () => Book | null,
    private target: () => { kind: Kind; horizonMs: number },
    private score: (kind: Kind, horizonMs: number) => Score | null,
  ) {}

  write(): void {
    const s = this.state.selected;
    const f = this.book()?.latest(this.state.model) ?? null;
    if (!s || !f) {
      patch(this.body, []);
      this.message.hidden = false;
      setText(this.message, this.emptyWords());
      return;
    }
    this.message.hidden = true;
    const d = s.decimals;
    const groups: Node[] = [];
    for (const kind of ['next', 'last', 'mid'] as Kind[]) {
      const points = f.points.filter((p) => p.kind === kind).sort((a, b) => a.horizon_ms - b.horizon_ms);
      if (points.length) groups.push(this.group(kind, points, f, d));
    }
    // Rows that move would move under the pointer: the list waits while it is pointed at.
    const came = this.body.querySelector('.came:hover')?.cloneNode(true) ?? this.cameTable(d);
    patch(this.body, [this.head(f, d), ...groups, came]);
  }

  private emptyWords(): string {
    if (!this.state.selected) return 'Choose a symbol in the watch list.';
    if (this.state.status?.calendar?.state === 'closed') return 'No forecast: the session is closed. They start 60 s after it opens.';
    return 'No forecast yet: they start 60 s after the session opens, once a model has enough bars.';
  }

  private head(f: Forecast, d: number): Node {
    const z = this.state.shownZone;
    const passed = this.state.marketNow() - toMs(f.origin_time) > 120_000;
    this.body.classList.toggle('passed', passed);
    const flags = f.flags.map((x) => FLAG_WORDS[x] ?? x).join(', ');
    return el(
      'p',
      { class: 'fc-head' },
      `From the bar that ended ${z.time(toMs(f.origin_time))}. “No change” says `,
      el('b', { text: num(f.reference, d) }),
      passed ? el('span', { class: 'warn', text: ' · its targets have passed and no newer one came' }) : null,
      flags ? el('span', { class: 'warn', text: ` · ${flags}` }) : null,
    );
  }

  private group(kind: Kind, points: Point[], f: Forecast, d: number): Node {
    const names: Record<Kind, string> = { next: 'Next trade', last: 'Last price', mid: 'Mid price' };
    const table = el('table', { class: 'fc-table' });
    table.append(
      el(
        'thead',
        {},
        el('tr', {}, el('th', { scope: 'col', text: names[kind] }), el('th', { scope: 'col', text: 'forecast' }), el('th', { scope: 'col', text: 'move' }), el('th', { scope: 'col', text: '90 % band' })),
      ),
    );
    const body = el('tbody');
    for (const p of points) body.append(this.row(p, f, d));
    table.append(body);
    return table;
  }

  private row(p: Point, f: Forecast, d: number): Node {
    const ref = p.kind === 'mid' ? f.reference_mid : f.reference;
    const move = ref === null ? null : p.value - ref;
    const h = p.kind === 'next' ? 'any s' : p.horizon_ms >= 60_000 ? `${p.horizon_ms / 60_000} min` : `${p.horizon_ms / 1000} s`;
    const dir = move === null || Math.abs(move) < 0.05 / 10 ** d ? '' : move > 0 ? 'up' : 'down';
    const gate = p.gate_open ? 'gate open' : 'gate closed, no change is shown';
    const tr = el('tr', { class: p.gate_open ? '' : 'closed', title: `${targetName(p.kind, p.horizon_ms)}: ${gate}. ${this.why(p, d)}` });
    const band = p.lo === null || p.hi === null ? NONE : `${num(p.lo, d)}–${num(p.hi, d)}`;
    tr.append(
      el('th', { scope: 'row' }, el('i', { class: `gate ${p.gate_open ? 'open' : 'shut'}`, 'aria-hidden': 'true' }), h, el('span', { class: 'sr', text: `, ${gate}` })),
      el('td', { text: p.gate_open ? num(p.value, d + 1) : num(ref, d) }),
      el('td', { class: p.gate_open ? dir : '', text: p.gate_open ? signed(move, d + 1) : 'no change' }),
      el('td', { class: 'band', text: band }),
    );
    if (p.p_up === null || p.p_up === undefined) return tr;
    tr.title += ` Down ${pct(p.p_down, 0)}, unchanged ${pct(p.p_none, 0)}, up ${pct(p.p_up, 0)}.`;
    return tr;
  }

  /* What the gate goes by, in figures. */
  private why(p: Point, d: number): string {
    const s = this.score(p.kind, p.horizon_ms);
    const own = p.gate_open ? '' : `The model says ${num(p.value, d + 1)}. `;
    if (!s || s.ratio === null) return own;
    const interval = s.ratio_lo === null || s.ratio_hi === null ? '' : ` (95 % interval ${num(s.ratio_lo, 3)} to ${num(s.ratio_hi, 3)})`;
    return `${own}Its error over that of no change: ${num(s.ratio, 3)}${interval}, n ${int(s.n)}.`;
  }

  private cameTable(d: number): Node {
    const t = this.target();
    const pairs = (this.book()?.pairs(this.state.model, t.kind, t.horizonMs, 400) ?? []).filter((p) => p.actual !== null).slice(-14).reverse();
    const z = this.state.shownZone;
    const body = el('tbody');
    for (const p of pairs) {
      const actual = p.actual as number;
      const inside = p.lo === null || p.hi === null ? null : actual >= p.lo && actual <= p.hi;
      const better = Math.abs(p.value - actual) < Math.abs(p.reference - actual);
      body.append(
        el(
          'tr',
          {},
          el('th', { scope: 'row', text: z.time(p.targetMs) }),
          el('td', { text: num(p.value, d + 1) }),
          el('td', { text: num(actual, d) }),
          el('td', { text: signed(actual - p.value, d + 1), class: better ? 'strong' : 'dim', title: better ? 'nearer than no change' : 'not nearer than no change' }),
          el('td', { class: inside === false ? 'warn' : 'dim', text: inside === null ? NONE : inside ? 'in' : 'out' }),
        ),
      );
    }
    const head = ['', 'said', 'came', 'error', 'band'].map((text) => el('th', { scope: 'col', text }));
    head[0]?.append(targetName(t.kind, t.horizonMs));
    if (!pairs.length) return el('p', { class: 'fc-empty', text: `${targetName(t.kind, t.horizonMs)}: nothing has come true yet.` });
    return el('table', { class: 'fc-table came' }, el('caption', { text: 'What came' }), el('thead', {}, el('tr', {}, ...head)), body);
  }
}
