// Pipeline health: is what is shown fresh, and does the machine keep up.

import { el, patch, setText } from './dom';
import { NONE, age, compact, int, millis, num, rate } from './format';
import type { State } from './state';
import { makeAgeStrip, type StripData } from './strips';
import type { Theme } from './theme';
import { toMs, type Status } from './types';

const KEEP = 600;

export class Health {
  readonly ages: StripData = { t: [], v: [] };
  private tiles = el('dl', { class: 'tiles' });
  private feeds = el('div', { class: 'feeds' });
  private strip;
  private cells = new Map<string, { dd: HTMLElement; root: HTMLElement }>();

  constructor(
    body: HTMLElement,
    private message: HTMLElement,
    private note: HTMLElement,
    private state: State,
    theme: Theme,
    openAge: () => void,
  ) {
    this.strip = makeAgeStrip(state, theme, openAge);
    body.append(this.feeds, this.tiles, this.strip.root);
    state.on('status', (s) => this.write(s));
    state.on('look', () => this.strip.look());
    this.message.hidden = false;
    setText(this.message, 'Waiting for the first status of the server…');
  }

  private tile(key: string, value: string, title: string, warn = false): void {
    let c = this.cells.get(key);
    if (!c) {
      const dd = el('dd');
      const root = el('div', { class: 'tile' }, el('dt', { text: key }), dd);
      this.cells.set(key, (c = { dd, root }));
      this.tiles.append(root);
    }
    setText(c.dd, value);
    c.root.title = title;
    c.root.classList.toggle('warn', warn);
  }

  private dataAge(s: Status): number | null {
    const ages = s.feeds.map((f) => f.age_ms).filter((v): v is number => v !== null);
    if (ages.length) return Math.min(...ages);
    return s.data_time === null || s.mode === 'REPLAY' ? null : (s.now - s.data_time) / 1e6;
  }

  write(s: Status): void {
    this.message.hidden = true;
    const ageMs = this.dataAge(s);
    const now = Date.now() / 1000;
    this.ages.t.push(now);
    this.ages.v.push(ageMs === null ? null : ageMs / 1000);
    if (this.ages.t.length > KEEP) {
      this.ages.t.shift();
      this.ages.v.shift();
    }
    this.strip.set(this.ages);
    this.writeFeeds(s);
    const depth = s.queues.reduce((a, q) => Math.max(a, q.depth), 0);
    const high = s.queues.reduce((a, q) => Math.max(a, q.high_water), 0);
    const lag = s.lag.reduce((a, l) => a + l.records, 0);
    const symbols = s.feeds.reduce((a, f) => a + f.symbols, 0); // the store waits for larger batches with many
    const c = s.counters;
    const rest = this.state.ended || s.calendar?.state === 'closed';
    this.tile('Data age', age(ageMs), 'Since the newest piece of data came', !rest && (ageMs ?? 0) > this.state.staleAfterMs);
    this.tile('Bars/s', rate(s.rates.bars_per_s), 'Second bars made in a second');
    this.tile('Forecasts/s', rate(s.rates.forecasts_per_s), 'Forecasts published in a second');
    this.tile('Forecast p50', millis(s.latency.forecast_p50_ms), 'Bar in to forecast published, half are faster');
    this.tile('Forecast p99', millis(s.latency.forecast_p99_ms), `Bar in to forecast published, 99 of 100 are faster${s.latency.forecast_after_p99_ms === null ? '' : `; work on open windows after it: ${millis(s.latency.forecast_after_p99_ms)}`}`);
    this.tile('Queue', `${int(depth)} / ${int(high)}`, `Deepest queue now / at most so far: ${s.queues.map((q) => `${q.name} ${q.depth}`).join(', ') || 'no queue'}`);
    this.tile('Lag', int(lag), `Records on the bus not yet taken: ${s.lag.map((l) => `${l.role} ${l.topic} ${l.records}`).join(', ') || 'none'}`, lag > 10_000 + 100 * symbols);
    this.tile('Gaps today', int(c.gaps_today), 'Spans of which nothing is known', (c.gaps_today ?? 0) > 0);
    this.tile('Late · revised', `${compact(c.late_bars)} · ${compact(c.revised_bars)}`, 'Bars that came after their second closed · that replaced an earlier one');
    const stored = (c.inserted ?? 0) + (c.superseded ?? 0) + (c.duplicate ?? 0) + (c.dead_lettered ?? 0);
    this.tile('Stored', compact(c.stored ?? stored), `Produced ${int(c.produced)}; stored ${int(c.stored)} = inserted ${int(c.inserted)} + superseded ${int(c.superseded)} + duplicate ${int(c.duplicate)} + dead-lettered ${int(c.dead_lettered)}`, (c.dead_lettered ?? 0) > 0);
    setText(this.note, `tickcast ${s.version}${s.model_swap?.state === 'warming' ? ' · a model is being warmed up' : s.model_swap?.state === 'failed' ? ' · a new model was refused' : ''}`);
  }

  private writeFeeds(s: Status): void {
    patch(
      this.feeds,
      s.feeds.map((f) =>
        el(
          'div',
          { class: 'feed', title: `${int(f.events)} events, ${int(f.bad_lines)} bad lines, ${int(f.reconnects)} reconnects` },
          el('i', { class: `dot ${f.healthy ? 'fresh' : this.state.ended ? 'rest' : 'stale'}`, 'aria-hidden': 'true' }),
          el('b', { text: f.name }),
          f.state === f.name ? null : el('span', { text: f.state.replaceAll('_', ' ') }),
          el('span', { class: 'dim', text: `${int(f.symbols)} symbols` }),
          f.bad_lines ? el('span', { class: 'warn', text: `${int(f.bad_lines)} bad lines` }) : null,
        ),
      ),
    );
  }

  /* Everything that the status says, for the full view. */
  full(): HTMLElement {
    const s = this.state.status;
    if (!s) return el('p', { class: 'state', text: 'No status has come yet.' });
    const table = (caption: string, head: string[], rows: string[][]) =>
      el(
        'table',
        { class: head.length > 5 || caption.startsWith('Newest') ? 'plain wide' : 'plain' },
        el('caption', { text: caption }),
        el('thead', {}, el('tr', {}, ...head.map((h) => el('th', { scope: 'col', text: h })))),
        el('tbody', {}, ...rows.map((r) => el('tr', {}, ...r.map((v, i) => el(i ? 'td' : 'th', i ? { text: v } : { text: v, scope: 'row' }))))),
      );
    const swap = s.model_swap;
    const swapText = { none: '', done: 'is in use', warming: 'is being warmed up', failed: 'was refused' };
    const list = (v: string[] | string | null | undefined) => (Array.isArray(v) ? v.join(' ') : (v ?? NONE));
    return el(
      'div',
      { class: 'full-health' },
      table('Feeds', ['Feed', 'State', 'Symbols', 'Age', 'Events', 'Bad lines', 'Reconnects'], s.feeds.map((f) => [f.name, f.detail ? `${f.state}: ${f.detail}` : f.state, int(f.symbols), age(f.age_ms), int(f.events), int(f.bad_lines), int(f.reconnects)])),
      table('Counters', ['What', 'Number'], Object.entries(s.counters).map(([k, v]) => [k.replaceAll('_', ' '), int(v)])),
      table('Latency', ['What', 'Time'], Object.entries(s.latency).filter(([k]) => k.endsWith('_ms')).map(([k, v]) => [k.replace('_ms', '').replaceAll('_', ' '), millis(v)])),
      table('Queues', ['Queue', 'Now', 'At most'], s.queues.map((q) => [q.name, int(q.depth), int(q.high_water)])),
      table('Lag', ['Role', 'Topic', 'Records'], s.lag.map((l) => [l.role, l.topic, int(l.records)])),
      table('Models', ['Model', 'Kind', 'Inputs', 'Kernel', 'Trained on', 'Rows', 'Symbols', 'In use since'], s.models.map((m) => [m.id, m.unit === 'price' ? `${m.kind}, price level` : m.kind, m.inputs ?? NONE, m.kernel ?? NONE, m.trained_from ? `${m.trained_from} to ${m.trained_to}` : NONE, num(m.trained_rows, 0), list(m.symbols), m.since ? this.state.shownZone.full(toMs(m.since)) : 'the start'])),
      swap && swap.state !== 'none' ? table('Newest exchange of a model', ['Model', 'State', 'When', 'Why'], [[swap.model ?? 'the new file', swapText[swap.state], swap.time ? this.state.shownZone.full(toMs(swap.time)) : NONE, swap.message ?? NONE]]) : null,
    );
  }

  csv(): { head: string[]; rows: (string | number | null)[][] } {
    const s = this.state.status;
    const rows: (string | number | null)[][] = [];
    if (s) {
      for (const [k, v] of Object.entries(s.rates)) rows.push(['rate', k, v]);
      for (const [k, v] of Object.entries(s.latency)) rows.push(['latency', k, v]);
      for (const [k, v] of Object.entries(s.counters)) rows.push(['counter', k, v]);
      for (const q of s.queues) rows.push(['queue', q.name, q.depth]);
      for (const l of s.lag) rows.push(['lag', `${l.role} ${l.topic}`, l.records]);
      for (const f of s.feeds) rows.push(['feed age ms', f.name, f.age_ms]);
    }
    return { head: ['group', 'name', 'value'], rows };
  }
}
