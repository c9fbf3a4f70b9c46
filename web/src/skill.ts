// Skill in one plain sentence first, then every model against every baseline.

import { ApiError, explain, getJson } from './api';
import { el, patch, setText, svg, throttle } from './dom';
import { NONE, int, num, pct } from './format';
import type { State } from './state';
import { BASELINES, modelName, targetKey, targetName, type Kind, type Score } from './types';

export type Span = 'hour' | 'session' | 'all';

const SPAN_WORDS: Record<Span, string> = { hour: 'in the last hour', session: 'this session', all: 'over all time' };
const ORDER = ['lstm', 'mean', 'ridge', 'microprice', 'reversal', 'persistence'];
const KIND_ORDER: Kind[] = ['next', 'last', 'mid'];

export interface Target {
  kind: Kind;
  horizonMs: number;
}

function rank(s: Score, lead: string | null): number {
  if (s.model === lead) return -1;
  const i = ORDER.indexOf(modelName(s.model));
  return i < 0 ? 0.5 : i;
}

export function known(v: number | null | undefined): v is number {
  return v !== null && v !== undefined && Number.isFinite(v);
}

/* The sentence a person reads first. It says so too when there is no skill. */
export function sentence(s: Score | null, span: Span): string {
  if (!s || !s.n || !known(s.ratio)) return `Nothing scored yet ${SPAN_WORDS[span]}: a forecast counts once what it spoke of has come.`;
  const skill = 1 - s.ratio;
  const sure = known(s.ratio_lo) && known(s.ratio_hi) && (s.ratio_hi < 1 || s.ratio_lo > 1);
  const what = Math.abs(skill) < 0.0005 ? 'equal to' : `${num(Math.abs(skill) * 100, 1)}\u00a0% ${skill > 0 ? 'below' : 'above'}`;
  const doubt = sure ? '' : ' (too close to call)';
  const band = known(s.coverage) ? `, band held ${pct(s.coverage, 0)}` : '';
  const gate = s.gate_open === false ? ' The gate is shut: “no change” is shown instead.' : '';
  return `${targetName(s.kind, s.horizon_ms)}: error ${what} “no change”${doubt}, n = ${int(s.n)} ${SPAN_WORDS[span]}${band}.${gate}`;
}

export class Skill {
  span: Span = 'session';
  target: Target = { kind: 'next', horizonMs: 0 };
  scores: Score[] = [];
  receivedMs: number | null = null;
  private error: string | null = null;
  private loaded = false;
  private symbol: string | null = null;
  private abort: AbortController | null = null;
  private reload = throttle(1000, () => void this.fetch());

  constructor(
    private out: { sentence: HTMLElement; table: HTMLElement; message: HTMLElement; badge: HTMLElement; target: HTMLSelectElement },
    private state: State,
    private onTargets: () => void,
  ) {
    out.target.addEventListener('change', () => {
      const s = this.scores.find((x) => targetKey(x.kind, x.horizon_ms) === out.target.value);
      if (s) this.target = { kind: s.kind, horizonMs: s.horizon_ms };
      this.write();
      this.onTargets();
    });
  }

  open(symbol: string | null): void {
    this.symbol = symbol;
    this.scores = [];
    this.loaded = false;
    this.error = null;
    this.receivedMs = null;
    this.write();
    void this.fetch();
  }

  setSpan(span: Span): void {
    this.span = span;
    void this.fetch();
  }

  /* The server said that scores of these symbols changed. */
  changed(symbols: string[]): void {
    if (this.symbol && (symbols.length === 0 || symbols.includes(this.symbol) || symbols.includes('*'))) this.reload();
  }

  again(): void {
    this.reload();
  }

  private async fetch(): Promise<void> {
    if (!this.symbol) return;
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    try {
      const a = await getJson<{ scores: Score[] }>('scores', { symbol: this.symbol, span: this.span }, abort.signal);
      this.scores = a.scores.filter((s) => s.symbol === this.symbol);
      this.loaded = true;
      this.error = null;
      this.receivedMs = Date.now();
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      if (e instanceof ApiError && e.status === 404) this.loaded = true;
      else this.error = explain(e, 'the scores');
    }
    this.write();
  }

  get lead(): Score | null {
    const same = this.rows();
    return same.find((s) => s.model === this.state.model) ?? same.find((s) => !BASELINES.includes(modelName(s.model))) ?? same[0] ?? null;
  }

  /* One row a model for the chosen target, the speaking model first. A model with several input levels has a
   * row each. */
  rows(): Score[] {
    const lead = this.state.model;
    return this.scores
      .filter((s) => s.kind === this.target.kind && s.horizon_ms === this.target.horizonMs)
      .sort((a, b) => rank(a, lead) - rank(b, lead) || b.n - a.n);
  }

  private writeTargets(): void {
    const seen = new Map<string, Target>();
    for (const s of this.scores) seen.set(targetKey(s.kind, s.horizon_ms), { kind: s.kind, horizonMs: s.horizon_ms });
    if (!seen.size) return;
    const list = [...seen.entries()].sort(
      (a, b) => KIND_ORDER.indexOf(a[1].kind) - KIND_ORDER.indexOf(b[1].kind) || a[1].horizonMs - b[1].horizonMs,
    );
    const want = list.map(([k]) => k).join();
    const select = this.out.target;
    if (select.dataset.keys !== want) {
      select.dataset.keys = want;
      select.replaceChildren(...list.map(([k, t]) => el('option', { value: k, text: targetName(t.kind, t.horizonMs) })));
    }
    if (!seen.has(targetKey(this.target.kind, this.target.horizonMs))) {
      this.target = list[0]?.[1] ?? this.target;
      this.onTargets();
    }
    select.value = targetKey(this.target.kind, this.target.horizonMs);
  }

  write(): void {
    this.writeTargets();
    const rows = this.rows();
    const lead = this.lead;
    this.out.badge.hidden = !(this.state.simulated || rows.some((r) => r.simulated));
    const problem = this.error && !rows.length ? this.error : null;
    this.out.message.hidden = problem === null;
    if (problem) setText(this.out.message, problem);
    setText(
      this.out.sentence,
      problem ? '' : !this.symbol ? 'Choose a symbol to see how right its forecasts were.' : this.loaded ? sentence(lead, this.span) : 'Loading scores…',
    );
    patch(this.out.table, rows.length ? [skillTable(rows, lead)] : []);
  }

  get n(): number {
    return this.lead?.n ?? 0;
  }

  csv(): { head: string[]; rows: (string | number | null)[][] } {
    const head = ['symbol', 'model', 'kind', 'horizon_ms', 'inputs', 'n', 'n_late', 'rmse', 'mae', 'ratio', 'ratio_lo', 'ratio_hi', 'ratio_clean', 'n_flagged', 'r2', 'mae_ratio', 'ratio_reversal', 'ratio_ridge', 'ratio_microprice', 'n_microprice', 'hits', 'moves', 'ties', 'direction_share', 'direction_lo', 'direction_hi', 'direction_microprice', 'dm_t', 'dm_t_ridge', 'coverage', 'width', 'winkler', 'beyond', 'n_spread', 'brier', 'brier_base', 'n_prob', 'gate_open', 'simulated'];
    return {
      head,
      rows: this.scores.map((s) => [s.symbol, s.model, s.kind, s.horizon_ms, s.inputs, s.n, s.n_late, s.rmse, s.mae, s.ratio, s.ratio_lo, s.ratio_hi, s.ratio_clean, s.n_flagged, s.r2, s.mae_ratio, s.ratio_reversal, s.ratio_ridge, s.ratio_microprice, s.n_microprice, s.direction?.hits ?? null, s.direction?.moves ?? null, s.direction?.ties ?? null, s.direction?.share ?? null, s.direction?.lo ?? null, s.direction?.hi ?? null, s.direction?.microprice ?? null, s.dm_t, s.dm_t_ridge, s.coverage, s.width, s.winkler, s.beyond, s.n_spread, s.brier, s.brier_base, s.n_prob, String(s.gate_open), String(s.simulated)]),
    };
  }
}

export function whisker(s: Score, from: number, to: number): Node {
  const at = (v: number) => Math.max(1, Math.min(99, ((v - from) / (to - from)) * 100)).toFixed(2);
  const root = svg('svg', { class: 'whisker', viewBox: '0 0 100 14', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  root.append(svg('line', { class: 'one', x1: at(1), x2: at(1), y1: 0, y2: 14 }));
  if (known(s.ratio_lo) && known(s.ratio_hi)) root.append(svg('line', { class: 'ci', x1: at(s.ratio_lo), x2: at(s.ratio_hi), y1: 7, y2: 7 }));
  if (known(s.ratio)) root.append(svg('line', { class: 'pt', x1: at(s.ratio), x2: at(s.ratio), y1: 2.5, y2: 11.5 }));
  return root;
}

export function skillTable(rows: Score[], lead: Score | null): HTMLTableElement {
  const values = rows.flatMap((r) => [r.ratio, r.ratio_lo, r.ratio_hi]).filter(known);
  const reach = Math.min(0.5, Math.max(0.02, ...values.map((v) => Math.abs(v - 1))) * 1.08);
  const head: [string, string][] = [
    ['Model', 'Speaking model first, then the baselines'],
    ['n', 'Issued in time and resolved'],
    ['Error ÷ no change', 'RMSE over that of “no change” on the same samples; below 1 is better. Whisker: 95 % interval'],
    ['', 'From better (left) to worse; the line is “no change”'],
    ['÷ ridge', 'RMSE over that of ridge, same samples'],
    ['÷ micro', 'RMSE over that of the microprice where quotes were known'],
    ['Direction', 'Share of moves foreseen, with its 95 % interval; ties apart'],
    ['micro’s', 'The same share of the microprice: most “direction” is bounce between bid and ask'],
    ['DM t', 'Diebold–Mariano against “no change”; above 2 is clear'],
    ['Band held', 'Share inside the 90 % band'],
    ['Width', 'Mean width of the band, price units'],
  ];
  const thead = el('thead', {}, el('tr', {}, ...head.map(([text, title]) => el('th', { scope: 'col', text, title }))));
  const body = el('tbody');
  const ids = new Map<string, Set<string>>(); // of one name: a model exchanged while running has another hash
  for (const s of rows) ids.set(modelName(s.model), (ids.get(modelName(s.model)) ?? new Set()).add(s.model));
  for (const s of rows) {
    const twins = (ids.get(modelName(s.model))?.size ?? 0) > 1;
    body.append(skillRow(s, twins ? s.model : modelName(s.model), s === lead, reach));
  }
  return el('table', { class: 'skill-table' }, thead, body);
}

function skillRow(s: Score, name: string, lead: boolean, reach: number): HTMLElement {
  const dir = s.direction;
  const tone = known(s.ratio_hi) && s.ratio_hi < 1 ? 'good' : known(s.ratio_lo) && s.ratio_lo > 1 ? 'bad' : '';
  const share = dir && known(dir.share) ? pct(dir.share) : NONE;
  const interval = dir && known(dir.lo) && known(dir.hi) ? `${num(dir.lo * 100, 0)}–${num(dir.hi * 100, 0)}` : '';
  const tr = el('tr', { class: lead ? 'lead' : '' });
  const ci = known(s.ratio_lo) && known(s.ratio_hi) ? `95 % interval ${num(s.ratio_lo, 4)} to ${num(s.ratio_hi, 4)}` : '';
  tr.append(
    el('th', { scope: 'row', title: `${s.model}${s.inputs ? `, inputs ${s.inputs}` : ''}` }, name, s.inputs && !BASELINES.slice(0, 3).includes(modelName(s.model)) ? el('small', { text: s.inputs === 'own' ? 'external' : s.inputs }) : null, s.simulated ? el('span', { class: 'sr', text: ' simulated' }) : null),
    el('td', { text: int(s.n), title: s.n_late ? `${int(s.n_late)} late ones not counted` : '' }),
    el('td', { class: `ratio ${tone}`, text: num(s.ratio, 3), title: ci }),
    el('td', { class: 'w-cell' }, whisker(s, 1 - reach, 1 + reach)),
    el('td', { text: num(s.ratio_ridge, 3) }),
    el('td', { text: num(s.ratio_microprice, 3), title: `on ${int(s.n_microprice)} samples with quotes` }),
    el('td', { class: 'dir', title: dir ? `${int(dir.hits)} of ${int(dir.moves)} moves, ${int(dir.ties)} ties apart` : '' }, share, interval ? el('small', { text: interval }) : null),
    el('td', { class: 'dim', text: dir && known(dir.microprice) ? pct(dir.microprice) : NONE }),
    el('td', { text: num(s.dm_t, 1) }),
    el('td', { text: pct(s.coverage) }),
    el('td', { text: num(s.width, 4) }),
  );
  return tr;
}
