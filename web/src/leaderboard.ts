// The full view of the skill: every model on one target, ours, imported ones and those of others, best first.

import { el } from './dom';
import { NONE, int, num, pct } from './format';
import { known, sentence, whisker, type Span } from './skill';
import { modelName, targetKey, targetName, type Kind, type ModelInfo, type Score } from './types';

const RULES = ['persistence', 'reversal', 'microprice'];
const KINDS: Kind[] = ['next', 'last', 'mid'];
const GATE_MIN = 300;
const GATE_T = 3;

export type Maker = 'rule' | 'ours' | 'imported' | 'external';
const MAKERS: Record<Maker, [string, string]> = {
  rule: ['simple rule', 'A formula of one line that every model has to beat'],
  ours: ['ours', 'Trained or fitted by this program'],
  imported: ['imported', 'A network that was trained elsewhere and runs in this program'],
  external: ['external', 'Sent by another program before its target, and scored by the same rules'],
};

export function makerOf(id: string, models: ModelInfo[]): Maker {
  if (id.endsWith('@external')) return 'external';
  if (RULES.includes(id)) return 'rule';
  const card = models.find((m) => m.id === id);
  return card && (card.unit === 'price' || card.inputs === 'columns') ? 'imported' : 'ours';
}

/* Best first; what has no ratio yet, or far too few forecasts beside the others, goes last and has no place. */
export function ranked(scores: Score[], kind: Kind, horizonMs: number): { rows: Score[]; placed: number } {
  const all = scores.filter((s) => s.kind === kind && s.horizon_ms === horizonMs).sort((a, b) => (a.ratio ?? 9) - (b.ratio ?? 9) || b.n - a.n);
  const most = Math.max(0, ...all.map((s) => s.n));
  const counts = (s: Score) => known(s.ratio) && (s.n >= GATE_MIN || most < GATE_MIN);
  const placed = all.filter(counts);
  return { rows: [...placed, ...all.filter((s) => !counts(s))], placed: placed.length };
}

/* Why the gate stands as it does, as far as the figures say it. */
export function gateReason(s: Score): string {
  if (RULES.includes(s.model)) return 'A rule to compare with: it is never shown as a forecast';
  if (s.gate_open) return 'Open: measurably better than “no change” lately, so it is shown';
  if (s.gate_open === null) return 'It has not spoken yet';
  if (s.n < GATE_MIN) return `Shut: ${int(s.n)} of the ${GATE_MIN} forecasts that it takes at least`;
  if (!known(s.dm_t) || s.dm_t < GATE_T) return `Shut: t is ${num(s.dm_t, 1)} and must pass ${GATE_T}`;
  return 'Shut: good over this span, but not yet over the last hours';
}

const COLUMNS: [string, string][] = [
  ['#', 'Place by error on this target; none for under 300 forecasts beside models with more'],
  ['Model', 'Name, who made it, and what it looks at: T14 bars, K11 and single trades, Q18 and quotes'],
  ['n', 'Forecasts made in time whose outcome is known'],
  ['Error ÷ no change', 'RMSE over that of “no change” on the same forecasts; below 1 is better. Small: 95 % interval'],
  ['', 'From better (left) to worse; the line is “no change”'],
  ['Clean', 'The same without moves that look like bad prints'],
  ['R²', 'Of the move: 1 − ratio²'],
  ['MAE', 'Absolute error over that of “no change”'],
  ['t', 'Diebold–Mariano against “no change”; above 2 is hardly luck'],
  ['t to ridge', 'Diebold–Mariano against ridge'],
  ['÷ ridge', 'RMSE over that of ridge'],
  ['÷ micro', 'RMSE over that of the microprice, where quotes were known'],
  ['Direction', 'Share of the moves foreseen, with its 95 % interval. Most of it is bounce between bid and ask'],
  ['micro’s', 'The microprice’s share on the same forecasts'],
  ['Band held', 'Share inside the 90 % band'],
  ['Width', 'Mean width of the band, price units'],
  ['Winkler', 'Width and a fine for each miss: smaller is better'],
  ['> ½ spread', 'How often the forecast move is larger than half the spread, before fees and queue'],
  ['Brier', 'Of P(down), P(none), P(up). Small: that of the best constant; below it is better'],
  ['Gate', 'Whether it may be shown as a forecast'],
  ['Late', 'Issued too late to count'],
];

function row(s: Score, place: string, lead: boolean, models: ModelInfo[], reach: number): HTMLElement {
  const maker = makerOf(s.model, models);
  const tone = known(s.ratio_hi) && s.ratio_hi < 1 ? 'good' : known(s.ratio_lo) && s.ratio_lo > 1 ? 'bad' : '';
  const d = s.direction;
  const interval = known(s.ratio_lo) && known(s.ratio_hi) ? `${num(s.ratio_lo, 3)}–${num(s.ratio_hi, 3)}` : '';
  const level = maker === 'rule' || !s.inputs || s.inputs === 'own' ? '' : s.inputs;
  const cell = (text: string, small = '', more: Record<string, string> = {}) => el('td', more, text, small ? el('small', { text: small }) : null);
  return el(
    'tr',
    { class: lead ? 'lead' : '' },
    el('td', { text: place }),
    el('th', { scope: 'row', title: s.model }, modelName(s.model), el('small', { class: `maker ${maker}`, text: MAKERS[maker][0], title: MAKERS[maker][1] }), level ? el('small', { text: level }) : null),
    cell(int(s.n)),
    cell(num(s.ratio, 3), interval, { class: `ratio ${tone}` }),
    el('td', { class: 'w-cell' }, whisker(s, 1 - reach, 1 + reach)),
    cell(num(s.ratio_clean, 3), '', { title: `${int(s.n_flagged)} moves look like bad prints` }),
    cell(num(s.r2, 3)),
    cell(num(s.mae_ratio, 3)),
    cell(num(s.dm_t, 1)),
    cell(num(s.dm_t_ridge, 1)),
    cell(num(s.ratio_ridge, 3)),
    cell(num(s.ratio_microprice, 3), '', { title: `on ${int(s.n_microprice)} forecasts with quotes` }),
    cell(d && known(d.share) ? pct(d.share) : NONE, d && known(d.lo) && known(d.hi) ? `${num(d.lo * 100, 0)}–${num(d.hi * 100, 0)}` : '', d ? { title: `${int(d.hits)} of ${int(d.moves)} moves, ${int(d.ties)} ties apart` } : {}),
    cell(d && known(d.microprice) ? pct(d.microprice) : NONE, '', { class: 'dim' }),
    cell(known(s.coverage) ? pct(s.coverage) : NONE),
    cell(num(s.width, 4)),
    cell(num(s.winkler, 4)),
    cell(known(s.beyond) ? pct(s.beyond) : NONE, '', { title: `of ${int(s.n_spread)} forecasts with a fresh quote` }),
    cell(num(s.brier, 3), known(s.brier) ? num(s.brier_base, 3) : ''),
    cell(maker === 'rule' ? NONE : s.gate_open ? 'open' : s.gate_open === null ? NONE : 'shut', '', { title: gateReason(s) }),
    cell(int(s.n_late)),
  );
}

function table(rows: Score[], placed: number, lead: Score | null, models: ModelInfo[], name: string): HTMLElement {
  const values = rows.flatMap((r) => [r.ratio, r.ratio_lo, r.ratio_hi]).filter(known);
  const reach = Math.min(0.5, Math.max(0.02, ...values.map((v) => Math.abs(v - 1))) * 1.08);
  const head = el('thead', {}, el('tr', {}, ...COLUMNS.map(([text, title]) => el('th', { scope: 'col', text, title }))));
  const body = el('tbody', {}, ...rows.map((s, i) => row(s, i < placed ? String(i + 1) : NONE, s === lead, models, reach)));
  return el('div', { class: 'table-wrap', tabindex: 0, role: 'region', 'aria-label': name }, el('table', { class: 'skill-table board' }, head, body));
}

/* What the gate says of every model that may speak, in words. */
function gates(rows: Score[], models: ModelInfo[]): HTMLElement {
  const speak = rows.filter((s) => makerOf(s.model, models) !== 'rule');
  return el('ul', { class: 'gates' }, ...speak.map((s) => el('li', {}, el('b', { text: modelName(s.model) }), `: ${gateReason(s)}.`)));
}

function card(m: ModelInfo): HTMLElement {
  const symbols = Array.isArray(m.symbols) ? m.symbols.join(', ') : m.symbols;
  const facts: [string, string][] = [
    ['Kind', [m.kind, m.mode].filter(Boolean).join(', ')],
    ['Looks at', m.inputs ?? NONE],
    ['Trained on', m.trained_from ? `${m.trained_from} to ${m.trained_to}` : NONE],
    ['Rows', m.trained_rows ? int(m.trained_rows) : NONE],
    ['Symbols', symbols || NONE],
    ['Computed by', m.kernel ?? NONE],
  ];
  return el('section', { class: 'card' }, el('h4', { text: m.id }), el('dl', {}, ...facts.flatMap(([k, v]) => [el('dt', { text: k }), el('dd', { text: v })])));
}

const READING = [
  'Each forecast is written down before its target and compared with what came. “No change” says that the price stays; below 1 is better than that.',
  'A high direction figure is mostly bounce: trades alternate between bid and ask, and everybody can foresee the way back. Compare it with the microprice’s beside it. Nobody earns that for free.',
  'A forecast matters to somebody who trades at once only where its move is larger than half the spread, and that is before fees, the queue, and what happens meanwhile.',
  'None of this is investment advice, and none of it is profit.',
];

/* Fills `host`; the choice of the target is a tab list, worked with the arrow keys. */
export function leaderboard(host: HTMLElement, scores: Score[], models: ModelInfo[], lead: string | null, span: Span, first: { kind: Kind; horizonMs: number }): void {
  const targets = [...new Map(scores.map((s) => [targetKey(s.kind, s.horizon_ms), { kind: s.kind, horizonMs: s.horizon_ms }])).values()].sort(
    (a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.horizonMs - b.horizonMs,
  );
  const board = el('div', { role: 'tabpanel', id: 'board', tabindex: -1 });
  const show = (at: number) => {
    const t = targets[at];
    if (!t) return;
    const { rows, placed } = ranked(scores, t.kind, t.horizonMs);
    const leading = rows.find((s) => s.model === lead) ?? rows.find((s) => !RULES.includes(s.model)) ?? null;
    tabs.forEach((b, i) => {
      b.setAttribute('aria-selected', String(i === at));
      b.tabIndex = i === at ? 0 : -1;
    });
    board.setAttribute('aria-labelledby', tabs[at]?.id ?? '');
    board.replaceChildren(el('p', { class: 'sentence', text: sentence(leading, span) }), table(rows, placed, leading, models, targetName(t.kind, t.horizonMs)), gates(rows, models));
  };
  const tabs = targets.map((t, i) => {
    const b = el('button', { type: 'button', role: 'tab', id: `board-tab-${i}`, 'aria-controls': 'board', text: targetName(t.kind, t.horizonMs) });
    b.addEventListener('click', () => show(i));
    b.addEventListener('keydown', (e) => {
      const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
      if (!step) return;
      e.preventDefault();
      const next = (i + step + targets.length) % targets.length;
      show(next);
      tabs[next]?.focus();
    });
    return b;
  });
  if (!targets.length) {
    host.append(el('p', { class: 'state', text: 'Nothing scored yet: a forecast counts once what it spoke of has come.' }));
    return;
  }
  host.append(
    el('div', { class: 'board-tabs', role: 'tablist', 'aria-label': 'Target' }, ...tabs),
    board,
    el('details', { class: 'reading' }, el('summary', { text: 'How to read this' }), ...READING.map((text) => el('p', { text }))),
    models.length ? el('h3', { text: 'Model cards' }) : '',
    el('div', { class: 'cards' }, ...models.map(card)),
  );
  show(Math.max(0, targets.findIndex((t) => t.kind === first.kind && t.horizonMs === first.horizonMs)));
}
