// Wires the page: server -> state -> panels. The only file that knows all the others.

import { Stream, explain, getJson, type ConnState } from './api';
import { Book } from './book';
import { Chart } from './chart';
import { Dialog } from './dialog';
import { Segment, byId, el, perFrame, setAttr, setClass, setText, throttle } from './dom';
import { download, downloadPicture, toCsv } from './exporting';
import { ForecastPanel } from './forecastpanel';
import { age, int, num, signed } from './format';
import { Health } from './health';
import { bindKeys, helpBody, type Key } from './keys';
import { Alerts, Report } from './ledger';
import { formatLink, parseLink } from './link';
import { Night } from './night';
import { Player } from './player';
import { settingsBody } from './settings';
import { leaderboard } from './leaderboard';
import { Moods, Posts } from './posts';
import { Skill, type Span } from './skill';
import { State } from './state';
import { Strips, WINDOW, type StripId } from './strips';
import { Theme, reducedMotion } from './theme';
import { TopBar } from './topbar';
import { INTERVAL_MS, modelName, targetName, toMs, type Bar, type Forecast, type Gap, type Interval, type Kind, type Outcome, type Post, type SecondMarker, type Status, type SymbolRow } from './types';
import { WatchList } from './watchlist';

const FIRST_BARS: Record<Interval, number> = { '1s': 1800, '1m': 780, '1h': 500 };
const MANY_SYMBOLS = 400; // above this the stream carries the chosen symbol only, and the list is asked for
const ns = (s: number) => `${Math.round(s)}000000000`;

const state = new State(parseLink(location.hash));
const theme = new Theme(state);
const dialog = new Dialog();
new TopBar(state);
new Alerts(state);
const report = new Report(state);
const night = new Night(state, { replay: () => startReplay(), stop: () => stopReplay(), speed: (s) => setSpeed(s), choose: (s) => select(s) });

let book: Book | null = null;
let loading: AbortController | null = null;
let olderDone = false;
let olderBusy = false;
let forecastAtMs = 0;
let outcomeAtMs = 0;

const saveLink = throttle(300, () => history.replaceState(null, '', `${location.pathname}${location.search}${formatLink(state.link)}`));

const chart = new Chart(byId('chart'), byId('legend'), byId('said'), byId<HTMLButtonElement>('to-latest'), state, theme, {
  needOlder: () => void loadOlder(),
  rangeChanged: (slots) => {
    if (state.link.range === slots) return;
    state.link.range = slots;
    saveLink();
  },
});

const watch = new WatchList(
  byId('watch-scroll'),
  byId('watch-rows'),
  byId('watch-cols'),
  byId<HTMLInputElement>('search'),
  byId('watch-count'),
  byId('watch-state'),
  state,
  theme,
  (symbol) => select(symbol),
);

const skill = new Skill(
  {
    sentence: byId('skill-sentence'),
    table: byId('skill-table'),
    message: byId('skill-state'),
    badge: byId('skill-badge'),
    target: byId<HTMLSelectElement>('target'),
  },
  state,
  () => {
    chart.aheadKind = skill.target.kind === 'mid' ? 'mid' : 'last';
    refreshForecasts();
  },
);

const strips = new Strips(byId('strips-body'), state, theme, (id) => openStrip(id));
const health = new Health(byId('health-body'), byId('health-state'), byId('health-note'), state, theme, () => openStrip('age'));
const forecastPanel = new ForecastPanel(byId('forecast-body'), byId('forecast-state'), state, () => book, () => skill.target, (kind, h) => skill.scores.find((s) => s.model === state.model && s.kind === kind && s.horizon_ms === h) ?? null);

const posts = new Posts(byId('posts-body'), byId('posts-filter'), byId('posts-state'), byId('posts-note'), state, (symbol) => select(symbol));
const moods = new Moods((minutes) => chart.setMoods(minutes));

// ---- choosing what is looked at ----

function select(symbol: string): void {
  if (player) stopReplay();
  if (state.link.symbol === symbol && book?.symbol === symbol) return;
  state.link.symbol = symbol;
  saveLink();
  openSymbol();
  state.emit('selected');
  setText(byId('announce'), `${symbol} chosen`);
  if (state.symbols.size > MANY_SYMBOLS) stream.kick('another symbol');
}

function setInterval_(interval: Interval): void {
  if (state.link.interval === interval) return;
  if (player) stopReplay();
  state.link.interval = interval;
  state.link.range = null;
  saveLink();
  openBars();
}

function openSymbol(): void {
  const symbol = state.link.symbol;
  book = symbol ? new Book(symbol) : null;
  forecastAtMs = outcomeAtMs = 0;
  skill.open(symbol);
  openBars();
  moods.open(symbol);
  writeQuote();
  refreshForecasts();
}

function openBars(): void {
  if (player) return; // it brings its own bars
  loading?.abort();
  loading = new AbortController();
  olderDone = olderBusy = false;
  intervals.set(state.link.interval);
  chart.open(state.link.interval, book, state.selected?.decimals ?? 2, state.link.range);
  byId('trail-tools').classList.toggle('off', state.link.interval !== '1s');
  if (!state.link.symbol) return;
  chartMessage('Loading bars…');
  void loadBars(loading.signal);
  void loadForecasts(loading.signal);
}

function chartMessage(text: string | null): void {
  chart.setMessage(byId('chart-state'), text);
}

interface BarsAnswer {
  bars: Bar[];
  gaps: Gap[];
  more: boolean;
}

async function loadBars(signal: AbortSignal): Promise<void> {
  const symbol = state.link.symbol;
  const interval = state.link.interval;
  try {
    const a = await getJson<BarsAnswer>('bars', { symbol, interval, limit: FIRST_BARS[interval] }, signal);
    chart.load(a.bars, a.gaps ?? []);
    olderDone = !a.more;
    const end = a.bars[a.bars.length - 1];
    if (end && interval === '1s') setTimeout(() => void loadSeam(signal, Math.floor(end.start / 1e9)), SEAM_MS);
    chartMessage(chart.bars.list.length ? null : 'No bar of this symbol yet. The first one appears here by itself.');
    chart.forecasts();
  } catch (e) {
    if (signal.aborted) return;
    if (!chart.bars.list.length) chartMessage(explain(e, 'the bars'));
    retry.add(() => void loadBars(signal));
  }
}

/* The answer came from the database, which may have been a moment behind the place where the stream began:
 * what lies between the two is asked for once more, a little later. */
const SEAM_MS = 2000;
async function loadSeam(signal: AbortSignal, fromS: number): Promise<void> {
  const mine = book;
  if (signal.aborted || !mine) return;
  try {
    const [a, f] = await Promise.all([
      getJson<BarsAnswer>('bars', { symbol: mine.symbol, interval: '1s', from: ns(fromS), limit: 2000 }, signal),
      getJson<{ forecasts: Forecast[]; outcomes: Outcome[] }>('forecasts', { symbol: mine.symbol, model: state.model, from: ns(fromS - 120), limit: 2000 }, signal),
    ]);
    if (signal.aborted) return;
    chart.load(a.bars, a.gaps ?? []);
    for (const x of f.forecasts) mine.addForecast(x);
    for (const x of f.outcomes) mine.addOutcome(x);
    refreshForecasts();
  } catch {
    if (!signal.aborted) retry.add(() => void loadSeam(signal, fromS));
  }
}

async function loadOlder(): Promise<void> {
  if (player) return;
  const first = chart.bars.list[0];
  const signal = loading?.signal;
  if (!first || olderDone || olderBusy || !signal) return;
  olderBusy = true;
  try {
    const a = await getJson<BarsAnswer>('bars', { symbol: state.link.symbol, interval: state.link.interval, to: ns(first.t), limit: 2000 }, signal);
    const older = a.bars.filter((b) => b.start / 1e9 < first.t);
    chart.load(older, a.gaps ?? []);
    olderDone = !a.more || older.length === 0;
    if (state.link.interval === '1s') void loadForecasts(signal, first.t);
  } catch {
    // Asked for again with the next move of the chart.
  } finally {
    olderBusy = false;
  }
}

async function loadForecasts(signal: AbortSignal, before?: number): Promise<void> {
  const mine = book;
  if (!mine) return;
  try {
    const a = await getJson<{ forecasts: Forecast[]; outcomes: Outcome[] }>('forecasts', { symbol: mine.symbol, model: state.model, to: before ? ns(before) : null, limit: 2000 }, signal);
    for (const f of a.forecasts) {
      mine.addForecast(f);
      state.sawModel(f.model);
    }
    for (const o of a.outcomes) mine.addOutcome(o);
    if (a.forecasts.length && !before) forecastAtMs ||= Date.now();
    refreshForecasts();
  } catch {
    if (!signal.aborted) retry.add(() => void loadForecasts(signal, before));
  }
}

/* The running minute or hour, exact: the server's own sum of its seconds. */
const refreshRunning = throttle(2000, () => void loadRunning());
async function loadRunning(): Promise<void> {
  const last = chart.bars.last;
  const signal = loading?.signal;
  if (!last || !signal || state.link.interval === '1s') return;
  try {
    const a = await getJson<BarsAnswer>('bars', { symbol: state.link.symbol, interval: state.link.interval, from: ns(last.t - chart.bars.step), limit: 10 }, signal);
    for (const b of a.bars) chart.put({ ...b, available: b.available ?? Number.MAX_SAFE_INTEGER });
  } catch {
    // The next second asks again.
  }
}

async function loadSymbols(): Promise<void> {
  if (player) return; // the list would show now in the midst of then
  try {
    const a = await getJson<{ symbols: SymbolRow[] }>('symbols');
    const many = state.symbols.size > MANY_SYMBOLS;
    state.takeRows(a.symbols);
    const names = [...state.symbols.keys()];
    if ((!state.link.symbol || !state.symbols.has(state.link.symbol)) && names.length) {
      const wanted = state.link.symbol?.toUpperCase();
      const same = names.find((n) => n.toUpperCase() === wanted);
      select(same ?? (names.includes('SPY') ? 'SPY' : (names.sort()[0] as string)));
    } else if (!book && state.link.symbol) {
      openSymbol();
      state.emit('selected');
    } else if (!names.length) chartMessage('No data yet: the feed has sent nothing. Bars appear here by themselves.');
    if (!many && state.symbols.size > MANY_SYMBOLS) stream.kick('many symbols');
    writeQuote();
  } catch (e) {
    state.symbolsError = explain(e, 'the symbols');
    if (!state.symbols.size) chartMessage(state.symbolsError);
    state.emit('symbols');
    retry.add(() => void loadSymbols());
  }
}

/* What failed while the server was away is done once it is back; a second run of the same does no harm. */
const retry = {
  list: new Set<() => void>(),
  add(fn: () => void): void {
    this.list.add(fn);
    if (state.conn === 'live') setTimeout(() => this.run(), 2000);
  },
  run(): void {
    const list = [...this.list];
    this.list.clear();
    for (const fn of list) fn();
  },
};

// ---- the stream ----

let catchingUp = 0;

function onConn(next: ConnState, reason: string): void {
  const before = state.conn;
  if (next === 'lost' && (before === 'lost' || before === 'denied')) return; // keeps "since"
  if (next === before) return;
  state.conn = next;
  state.connSinceMs = Date.now();
  state.connReason = reason;
  if (next === 'lost') setText(byId('announce'), 'Connection lost. Trying again by itself.');
  if (next === 'catching-up') {
    catchingUp = 0;
    setText(byId('announce'), 'Connected again, catching up.');
  }
  if (next === 'denied') {
    state.symbolsError = 'Not allowed to see the data. Open the address that tickcast printed in its terminal: it holds the token.';
    if (!state.symbols.size) chartMessage(state.symbolsError);
    state.emit('symbols');
  }
  state.emit('conn');
}

function onEvent(type: string, value: unknown): void {
  switch (type) {
    case 'hello':
      state.takeStatus(value as Status);
      watchLag(value as Status);
      retry.run();
      void loadSymbols();
      void posts.load();
      skill.again();
      break;
    case 'post':
      posts.take(value as Post);
      moods.take(value as Post);
      break;
    case 'removed':
      posts.remove((value as { id: string }).id);
      break;
    case 'status':
      state.takeStatus(player ? asReplay(value as Status) : (value as Status));
      if (state.conn === 'catching-up' && ++catchingUp >= 1) onConn('live', '');
      watchLag(value as Status);
      break;
    case 'bar':
    case 'revision':
      if (!player) onBar(value as Bar, type === 'revision');
      break;
    case 'second':
      if (!player) state.takeSecond(value as SecondMarker);
      break;
    case 'gap': {
      const g = value as Gap;
      if (player) break;
      if (g.symbol === '*' || g.symbol === state.link.symbol) chart.gap(g);
      break;
    }
    case 'forecast':
      if (!player) onForecast(value as Forecast);
      break;
    case 'outcome':
      if (!player) onOutcome(value as Outcome);
      break;
    case 'score':
      skill.changed((value as { symbols?: string[] } | null)?.symbols ?? []);
      break;
    case 'reset':
      if (!player) onReset();
      break;
  }
}

function onForecast(f: Forecast): void {
  state.takeForecast(f);
  if (!book || f.symbol !== book.symbol) return;
  book.addForecast(f);
  forecastAtMs = Date.now();
  chart.forecasts();
  refreshForecasts();
}

function onOutcome(o: Outcome): void {
  if (!book || o.symbol !== book.symbol) return;
  book.addOutcome(o);
  outcomeAtMs = Date.now();
  refreshForecasts();
}

/* Ranges are answered from the database. While it is behind the stream (a start with much history), a range
 * ends before the stream begins: once it has caught up the range is fetched again, so that no hole stays. */
const BEHIND = 200; // records
let behind = false;
function watchLag(s: Status): void {
  const lag = Math.max(0, ...s.lag.map((l) => l.records));
  if (lag > BEHIND) behind = true;
  else if (behind) {
    behind = false;
    onReset();
  }
}

const newSymbol = throttle(1000, () => void loadSymbols());

function onBar(bar: Bar, revision: boolean): void {
  if (!state.symbols.has(bar.symbol)) newSymbol();
  state.takeBar(bar);
  if (bar.symbol !== state.link.symbol) return;
  if (state.link.interval === '1s') {
    if (bar.interval_ms === 1000) chart.put(bar);
  } else {
    if (!revision) chart.putSecond(bar);
    refreshRunning();
  }
  if (chart.bars.list.length) chartMessage(null);
  writeQuote();
}

/* The server could not go on where we were: the range is fetched anew; what is drawn stays until then. */
function onReset(): void {
  void loadSymbols();
  void posts.load();
  moods.again();
  skill.again();
  if (!loading) return;
  void loadBars(loading.signal);
  void loadForecasts(loading.signal);
}

const stream = new Stream(
  { event: onEvent, state: (s, d) => onConn(s, d.reason) },
  () => (state.symbols.size > MANY_SYMBOLS && state.link.symbol ? state.link.symbol : null),
);

// ---- the last session again ----

let player: Player | null = null;
let replaySpeed = 10;

/* What the server says of itself, and on top of it that the page shows another time. */
function asReplay(s: Status): Status {
  const c = s.calendar;
  if (!player || !c) return s;
  const closed = player.clockMs >= player.closeMs;
  return {
    ...s,
    mode: 'REPLAY',
    mode_text: `REPLAY ${player.speed}x of ${state.zone.dayShort(player.openMs)}`,
    data_time: player.clockMs * 1e6,
    calendar: { ...c, state: closed ? 'closed' : 'open', phase: closed ? 'after' : 'regular', reason: null, open: player.openMs * 1e6, close: player.closeMs * 1e6, early_close: false },
    notice: null,
  };
}

function startReplay(): void {
  const last = state.status?.calendar?.last;
  const symbol = state.link.symbol;
  const s = state.selected;
  if (!last || !symbol || !s) return;
  player?.stop();
  player = null;
  state.link.interval = '1s';
  loading?.abort();
  openSymbol();
  loading?.abort(); // nothing of what came later may be drawn
  book = new Book(symbol);
  chart.open('1s', book, s.decimals, state.link.range);
  chartMessage('Loading the session…');
  Object.assign(s, { last: null, lastMs: null, lastStart: 0, open: null, volume: null, spark: [], next: null, last60: null });
  player = new Player(symbol, toMs(last.open), toMs(last.close), replaySpeed, () => state.model, {
    bar: (b) => onBar(b, false),
    forecast: onForecast,
    outcome: onOutcome,
    clock: onReplayClock,
    ended: () => endReplay(),
    failed: (e) => {
      stopReplay();
      setText(byId('announce'), explain(e, 'the session'));
    },
  });
  night.playing = { day: `${state.zone.weekday(player.openMs)}, ${state.zone.dayShort(player.openMs)}`, speed: replaySpeed, ended: false };
  night.write();
  setText(byId('announce'), `Playing the session of ${night.playing.day} again`);
}

const showReplay = throttle(500, () => {
  if (player && state.status) state.takeStatus(asReplay(state.status));
});
function onReplayClock(ms: number): void {
  state.playedMs = ms;
  showReplay();
}

function setSpeed(speed: number): void {
  replaySpeed = speed;
  if (!player || !night.playing) return;
  player.speed = speed;
  night.playing.speed = speed;
  night.write();
}

function endReplay(): void {
  if (night.playing) night.playing.ended = true;
  night.write();
}

function stopReplay(): void {
  if (!player) return;
  player.stop();
  player = null;
  state.playedMs = null;
  night.playing = null;
  for (const s of state.symbols.values()) s.lastMs = null; // the server's answer counts again
  stream.kick('back from the replay');
  void loadSymbols();
  openSymbol();
  night.write();
}

// ---- writing ----

const writeQuote = perFrame(() => {
  const s = state.selected;
  setText(byId('chart-symbol'), state.link.symbol ?? ' ');
  const d = s?.decimals ?? 2;
  setText(byId('chart-last'), s ? num(s.last, d) : '');
  const move = s && s.last !== null && s.open !== null ? s.last - s.open : null;
  const change = byId('chart-change');
  setText(change, move === null || !s?.open ? '' : `${signed(move, d)}  ${signed((move / s.open) * 100, 2)} %`);
  setClass(change, 'up', (move ?? 0) > 0);
  setClass(change, 'down', (move ?? 0) < 0);
  setText(byId('chart-quote'), s && s.bid !== null && s.ask !== null ? `bid ${num(s.bid, d)}  ask ${num(s.ask, d)}` : '');
  document.title = s?.last != null ? `${s.symbol} ${num(s.last, d)} · tickcast` : 'tickcast';
});

const refreshForecasts = throttle(200, () => {
  chart.forecasts();
  forecastPanel.write();
  writeModels();
  refreshStrips();
});

const refreshStrips = throttle(1000, () => {
  const t = skill.target;
  const pairs = book?.pairs(state.model, t.kind, t.horizonMs, 4000) ?? [];
  const n = strips.set(pairs, state.selected?.decimals ?? 2);
  setText(byId('strips-note'), n ? `${targetName(t.kind, t.horizonMs)} · ${int(n)}` : '');
  const message = byId('strips-state');
  message.hidden = n > 0;
  if (!n) setText(message, 'Nothing to compare yet: the first forecasts have still to come true.');
});

const modelSelect = byId<HTMLSelectElement>('model');
function writeModels(): void {
  const ids = state.modelIds;
  if (state.link.model && !ids.includes(state.link.model)) ids.push(state.link.model);
  const key = ids.join();
  if (modelSelect.dataset.keys !== key) {
    modelSelect.dataset.keys = key;
    modelSelect.replaceChildren(...ids.map((id) => {
      const price = state.status?.models.some((m) => m.id === id && m.unit === 'price');
      return el('option', { value: id, text: modelName(id) + (price ? ' (price level)' : ''), title: price ? `${id}: imported, forecasts the price itself` : id });
    }));
  }
  modelSelect.value = state.model ?? '';
}
modelSelect.addEventListener('change', () => {
  state.link.model = modelSelect.value || null;
  saveLink();
  for (const s of state.symbols.values()) s.next = s.last60 = null;
  skill.write();
  refreshForecasts();
  if (loading) void loadForecasts(loading.signal);
});

interface AgeOf {
  panel: HTMLElement;
  ms(): number | null;
  limit(): number;
  rests: boolean; // old because the market rests is no fault
}

const ages: AgeOf[] = [
  { panel: byId('watch-panel'), ms: () => newestAge(), limit: () => state.staleAfterMs, rests: true },
  { panel: byId('chart-panel'), ms: () => state.ageMs(state.selected), limit: () => state.staleAfterMs, rests: true },
  { panel: byId('forecast-panel'), ms: forecastAge, limit: () => Math.max(90_000, state.staleAfterMs), rests: true },
  { panel: byId('skill-panel'), ms: () => (skill.receivedMs === null ? null : Date.now() - skill.receivedMs), limit: () => 300_000, rests: true },
  { panel: byId('strips-panel'), ms: () => (outcomeAtMs ? Date.now() - outcomeAtMs : null), limit: () => 300_000, rests: true },
  { panel: byId('posts-panel'), ms: () => (posts.newestMs === null ? null : Math.max(0, state.serverNow() - posts.newestMs)), limit: () => 3_600_000, rests: true },
  { panel: byId('health-panel'), ms: () => (state.statusAtMs ? Date.now() - state.statusAtMs : null), limit: () => 5000, rests: false },
];

function newestAge(): number | null {
  let best: number | null = null;
  for (const s of state.symbols.values()) {
    const a = state.ageMs(s);
    if (a !== null && (best === null || a < best)) best = a;
  }
  return best;
}

function forecastAge(): number | null {
  const f = book?.latest(state.model);
  if (!f) return null;
  return state.status?.mode === 'REPLAY' ? Date.now() - forecastAtMs : Math.max(0, state.serverNow() - toMs(f.origin_time));
}

function writeAges(): void {
  const resting = state.ended || state.status?.calendar?.state === 'closed';
  const cut = state.conn !== 'live' && state.conn !== 'connecting' && Date.now() - state.connSinceMs > 1500;
  for (const a of ages) {
    const node = a.panel.querySelector('[data-age]');
    if (!node) continue;
    const ms = a.ms();
    const old = ms !== null && ms > a.limit();
    const stale = ms !== null && (cut || (old && !(resting && a.rests)));
    const text = ms === null ? '' : stale ? `stale, ${age(ms)} old` : old && resting ? `at rest, ${age(ms)} old` : `${age(ms)} old`;
    setText(node, text);
    setClass(a.panel, 'stale', stale);
  }
}

// ---- full views, downloads, settings ----

function fileName(what: string): string {
  return `tickcast-${state.link.symbol ?? 'all'}-${what}-${state.status?.mode.toLowerCase() ?? 'unknown'}`;
}

function openStrip(id: StripId): void {
  const host = el('div', { class: 'full-strip' });
  let full: ReturnType<Strips['openFull']> | null = null;
  dialog.open({
    title: `${id === 'age' ? '' : `${state.link.symbol ?? ''} · ${targetName(skill.target.kind, skill.target.horizonMs)} · `}${stripTitle(id)}`,
    body: host,
    mount: () => (full = strips.openFull(id, host)),
    closed: () => full?.close(),
    csv: { name: fileName(id), table: () => full?.table() ?? { head: [], rows: [] } },
    png: { name: fileName(id), canvas: () => full?.picture() ?? null },
  });
}

function stripTitle(id: StripId): string {
  const words: Record<StripId, string> = {
    ratio: `error over that of no change, rolling over ${WINDOW}`,
    coverage: `share inside the 90 % band, rolling over ${WINDOW}`,
    residual: 'residuals',
    age: 'Age of the newest data',
  };
  return words[id];
}

function openSkill(): void {
  const body = el('div', { class: 'full-skill' });
  leaderboard(body, skill.scores, state.status?.models ?? [], state.model, skill.span, skill.target);
  dialog.open({ title: `${state.link.symbol ?? ''} · leaderboard${state.simulated ? ' · simulated' : ''}`, body, csv: { name: fileName('skill'), table: () => skill.csv() } });
}

function exportChart(kind: 'csv' | 'png'): void {
  const name = fileName(`bars-${state.link.interval}`);
  if (kind === 'csv') download(`${name}.csv`, toCsv(chart.table()));
  else void downloadPicture(`${name}.png`, chart.picture());
}

function exportPairs(): void {
  const t = skill.target;
  const iso = (ms: number) => new Date(ms).toISOString();
  const pairs = book?.pairs(state.model, t.kind, t.horizonMs, 8000) ?? [];
  const head = ['origin_utc', 'target_utc', 'forecast', 'lo', 'hi', 'no_change', 'came', 'gate_open', 'late'];
  const rows = pairs.map((p) => [iso(p.originMs), iso(p.targetMs), p.value, p.lo, p.hi, p.reference, p.actual, String(p.gate), String(p.late)]);
  download(`${fileName(`${modelName(state.model ?? 'model')}-${t.kind}-${t.horizonMs}ms`)}.csv`, toCsv({ head, rows }));
}

function setTheme(t: 'dark' | 'light' | 'system'): void {
  state.link.theme = null;
  saveLink();
  theme.set({ theme: t });
}
const flipTheme = () => setTheme(theme.shown === 'dark' ? 'light' : 'dark');
const openSettings = () => dialog.open({ title: 'Settings', body: settingsBody(state, theme, setTheme), narrow: true });
const openHelp = () => dialog.open({ title: 'Keys, and how to read this page', body: helpBody(keys), narrow: true });
const openQuality = () => dialog.open({ title: 'Quality of the data', body: null, mount: (host) => report.open(host), csv: { name: fileName('quality'), table: () => report.csv() } });
const openHealth = () => dialog.open({ title: 'Pipeline', body: health.full(), csv: { name: fileName('pipeline'), table: () => health.csv() } });

// ---- controls ----

const intervals = new Segment<Interval>(
  byId('intervals'),
  [
    { value: '1s', label: '1 s', title: 'one second (1)' },
    { value: '1m', label: '1 min', title: 'one minute (2)' },
    { value: '1h', label: '1 h', title: 'one hour (3)' },
  ],
  setInterval_,
);

const TRAILS: Record<string, { kind: Kind; horizonMs: number } | null> = {
  off: null,
  '1000': { kind: 'last', horizonMs: 1000 },
  '10000': { kind: 'last', horizonMs: 10_000 },
  '60000': { kind: 'last', horizonMs: 60_000 },
};
const trailHost = byId('trail-tools');
trailHost.setAttribute('role', 'radiogroup');
trailHost.setAttribute('aria-label', 'Past forecasts on the chart');
trailHost.append(el('span', { class: 'segment-label', text: 'Past', 'aria-hidden': 'true' }));
const trail = new Segment<string>(
  trailHost,
  [
    { value: 'off', label: 'Off', title: 'No past forecasts (f)' },
    { value: '1000', label: '1 s', title: 'What was said one second before' },
    { value: '10000', label: '10 s', title: 'What was said ten seconds before' },
    { value: '60000', label: '1 min', title: 'What was said one minute before' },
  ],
  (v) => setTrail(v),
);
let lastTrail = '1000';
function setTrail(v: string): void {
  if (v !== 'off') lastTrail = v;
  trail.set(v);
  chart.setTrail(TRAILS[v] ?? null);
}
setTrail(lastTrail);

const spans = new Segment<Span>(
  byId('spans'),
  [
    { value: 'hour', label: 'Hour' },
    { value: 'session', label: 'Session' },
    { value: 'all', label: 'All' },
  ],
  (v) => {
    skill.setSpan(v);
    spans.set(v);
  },
);
spans.set(skill.span);

function setTab(tab: string): void {
  document.body.dataset.tab = tab;
  for (const b of document.querySelectorAll<HTMLButtonElement>('#tabs button')) setAttr(b, 'aria-current', b.dataset.tab === tab ? 'page' : 'false');
  window.scrollTo(0, 0);
}
for (const b of document.querySelectorAll<HTMLButtonElement>('#tabs button')) b.addEventListener('click', () => setTab(b.dataset.tab ?? 'chart'));
setTab('chart');

const keys: Key[] = [
  { keys: ['/'], words: 'search a symbol', run: () => (setTab('watch'), watch.focusSearch()) },
  { keys: ['j', 'k'], words: 'next, previous symbol' },
  { keys: ['1', '2', '3'], words: 'bars of 1 s, 1 min, 1 h' },
  { keys: ['←', '→'], words: 'move the chart (when it has the focus)' },
  { keys: ['+', '-'], words: 'zoom the chart (when it has the focus)' },
  { keys: ['l'], words: 'back to the latest bar', run: () => chart.toLatest() },
  { keys: ['f'], words: 'past forecasts on or off', run: () => setTrail(chart.trailTarget ? 'off' : lastTrail) },
  { keys: ['s'], words: 'skill, full view', run: openSkill },
  { keys: ['h'], words: 'pipeline, full view', run: openHealth },
  { keys: ['q'], words: 'quality of the data, alerts and nightly jobs', run: openQuality },
  { keys: ['t'], words: 'dark or light', run: flipTheme },
  { keys: ['z'], words: 'exchange time or yours', run: () => ((state.useOwnZone = !state.useOwnZone), state.emit('look')) },
  { keys: ['e', 'p'], words: 'the chart as CSV, as PNG' },
  { keys: ['?'], words: 'this help', run: openHelp },
  { keys: ['Esc'], words: 'close' },
];
const hidden: Key[] = [
  { keys: ['j', 'ArrowDown'], words: '', run: () => watch.step(1) },
  { keys: ['k', 'ArrowUp'], words: '', run: () => watch.step(-1) },
  { keys: ['1'], words: '', run: () => setInterval_('1s') },
  { keys: ['2'], words: '', run: () => setInterval_('1m') },
  { keys: ['3'], words: '', run: () => setInterval_('1h') },
  { keys: ['e'], words: '', run: () => exportChart('csv') },
  { keys: ['p'], words: '', run: () => exportChart('png') },
];
bindKeys([...keys.filter((k) => k.run), ...hidden], () => dialog.isOpen);

byId('theme-button').addEventListener('click', flipTheme);
byId('settings-button').addEventListener('click', openSettings);
byId('help-button').addEventListener('click', openHelp);
document.querySelector('[data-open="skill"]')?.addEventListener('click', openSkill);
document.querySelector('[data-open="quality"]')?.addEventListener('click', openQuality);
document.querySelector('[data-open="health"]')?.addEventListener('click', openHealth);
document.querySelector('[data-export="chart-csv"]')?.addEventListener('click', () => exportChart('csv'));
document.querySelector('[data-export="watch-csv"]')?.addEventListener('click', () => download(`${fileName('watch-list')}.csv`, toCsv(watch.table())));
document.querySelector('[data-export="pairs-csv"]')?.addEventListener('click', exportPairs);
document.querySelector('[data-export="chart-png"]')?.addEventListener('click', () => exportChart('png'));

state.on('look', () => {
  chart.look();
  strips.look();
  forecastPanel.write();
});
state.on('status', () => writeModels());

window.addEventListener('hashchange', () => {
  const l = parseLink(location.hash);
  const symbol = l.symbol && state.symbols.has(l.symbol) ? l.symbol : state.link.symbol;
  const moved = symbol !== state.link.symbol;
  const turned = l.interval !== state.link.interval;
  state.link = { ...l, symbol };
  theme.apply();
  if (moved) {
    openSymbol();
    state.emit('selected');
  } else if (turned) openBars();
});

// ---- time ----

let lastBeat = Date.now();
setInterval(() => {
  const now = Date.now();
  if (now - lastBeat > 5000 && stream.silentMs > 3000) {
    // The machine slept (a hidden page is only called rarely, but hears the stream): what is shown is old until
    // the stream has caught up.
    setText(byId('announce'), `Back after ${age(now - lastBeat)}, catching up.`);
    stream.kick(`asleep for ${age(now - lastBeat)}`);
  }
  lastBeat = now;
  writeAges();
  state.emit('clock');
}, 1000);
setInterval(() => {
  if (state.symbols.size > MANY_SYMBOLS && document.visibilityState === 'visible' && state.conn === 'live') void loadSymbols();
}, 2000);
window.addEventListener('online', () => stream.kick('the network is back'));
reducedMotion.addEventListener('change', () => chart.look());

stream.start();
void loadSymbols();

// For the browser test: what is drawn, in numbers.
Object.defineProperty(window, 'tickcast', {
  value: { probe: () => ({ ...chart.probe(), n: skill.n, symbol: state.link.symbol, conn: state.conn, mode: state.status?.mode ?? null, interval: state.link.interval, intervalMs: INTERVAL_MS[state.link.interval] }), starts: () => chart.bars.list.map((c) => c.t) },
});
