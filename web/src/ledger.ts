// What the program wrote down about its own data: alerts that stand (a bar under the top), and the quality report
// with gaps, comparisons, flags and nightly jobs (a full view).

import { explain, getJson } from './api';
import { byId, el, patch } from './dom';
import { NONE, age, compact, int, num } from './format';
import type { Table } from './exporting';
import type { State } from './state';
import { toMs, type Alert } from './types';

interface Quality {
  symbol: string;
  day: number;
  traded: number;
  no_trade: number;
  unknown: number;
  duplicates: number;
  late: number;
  revised: number;
  backfilled: number;
  gaps: number;
}
interface Reconciled {
  symbol: string;
  day: number;
  interval_ms: number;
  source: string;
  compared: number;
  mismatches: number;
  missing_own: number;
  missing_vendor: number;
  own_volume: number | null;
  vendor_volume: number | null;
  worst: number | null;
}
interface Flag {
  symbol: string;
  day: number;
  kind: string;
  value: number | null;
  message: string;
}
interface Job {
  name: string;
  day: number;
  started: number;
  finished: number | null;
  result: string;
  message: string;
}
interface QualityAnswer {
  quality: Quality[];
  reconciled: Reconciled[];
  flags: Flag[];
}

const day = (d: number) => `${Math.floor(d / 10_000)}-${String(Math.floor(d / 100) % 100).padStart(2, '0')}-${String(d % 100).padStart(2, '0')}`;

/* The bar of alerts that stand. */
export class Alerts {
  private root = byId('alerts');
  constructor(private state: State) {
    state.on('status', () => this.write());
    state.on('clock', () => this.write());
  }
  private write(): void {
    const list = this.state.status?.alerts ?? [];
    this.root.hidden = list.length === 0;
    patch(
      this.root,
      list.map((a) => el('p', { title: `rule: ${a.rule}` }, el('b', { text: 'Alert: ' }), a.message, el('span', { class: 'dim', text: `, for ${age(this.state.serverNow() - toMs(a.since))}` }))),
    );
  }
}

function table(caption: string, head: string[], rows: string[][], none: string): HTMLElement {
  const words = head[head.length - 1]?.startsWith('What') ? ' words' : ''; // the last column is a sentence
  const cells = (r: string[]) => el('tr', {}, ...r.map((v, i) => el(i ? 'td' : 'th', i ? { text: v } : { text: v, scope: 'row' })));
  if (!rows.length) return el('div', { class: 'none' }, el('h3', { text: caption }), el('p', { class: 'dim', text: none }));
  const t = el('table', { class: `plain wide${words}` }, el('caption', { text: caption }), el('thead', {}, el('tr', {}, ...head.map((h) => el('th', { scope: 'col', text: h })))), el('tbody', {}, ...rows.map(cells)));
  return el('div', { class: 'table-wrap', tabindex: 0, role: 'region', 'aria-label': caption }, t);
}

/* The report of the newest fortnight. The rows for the CSV are those of the seconds' table. */
export class Report {
  private rows: Quality[] = [];
  constructor(private state: State) {}

  open(host: HTMLElement): void {
    const body = el('div', { class: 'report' }, el('p', { class: 'state', text: 'Loading the report…' }));
    host.append(body);
    void this.load(body);
  }

  private async load(host: HTMLElement): Promise<void> {
    try {
      const [q, j, a] = await Promise.all([getJson<QualityAnswer>('quality'), getJson<{ jobs: Job[] }>('jobs', { limit: 50 }), getJson<{ alerts: Alert[] }>('alerts', { limit: 50 })]);
      this.rows = q.quality;
      host.replaceChildren(this.seconds(q.quality), this.flags(q.flags), this.reconciled(q.reconciled), this.alerts(a.alerts), this.jobs(j.jobs));
    } catch (e) {
      host.replaceChildren(el('p', { class: 'state', text: explain(e, 'the quality report') }));
    }
  }

  private seconds(rows: Quality[]): HTMLElement {
    const newest = [...rows].sort((a, b) => b.day - a.day || a.symbol.localeCompare(b.symbol)).slice(0, 400);
    return table(
      'Seconds of the sessions',
      ['Symbol', 'Day', 'Traded', 'No trade', 'Unknown', 'Gaps', 'Late', 'Revised', 'Back-filled', 'Duplicates'],
      newest.map((r) => [r.symbol, day(r.day), int(r.traded), int(r.no_trade), int(r.unknown), int(r.gaps), int(r.late), int(r.revised), int(r.backfilled), int(r.duplicates)]),
      'Nothing was collected in these days.',
    );
  }

  private flags(rows: Flag[]): HTMLElement {
    return table('Flags: days that look wrong', ['Symbol', 'Day', 'Kind', 'What'], rows.map((f) => [f.symbol, day(f.day), f.kind, f.message]), 'No day looks wrong.');
  }

  private reconciled(rows: Reconciled[]): HTMLElement {
    const zone = this.state.shownZone;
    const off = (r: Reconciled) => (r.own_volume !== null && r.vendor_volume ? `${num((r.own_volume / r.vendor_volume - 1) * 100, 2)} %` : NONE);
    return table(
      'Own bars against the vendor’s',
      ['Symbol', 'Day', 'Bars', 'Compared', 'Differ', 'Only theirs', 'Only ours', 'Our volume', 'Theirs', 'Off', 'Worst'],
      rows.map((r) => [r.symbol, day(r.day), r.interval_ms === 60_000 ? '1 min' : 'session', int(r.compared), int(r.mismatches), int(r.missing_own), int(r.missing_vendor), compact(r.own_volume), compact(r.vendor_volume), off(r), r.worst === null ? NONE : zone.time(toMs(r.worst), false)]),
      'No comparison has been made: schedule.vendor_bars names the vendor’s bars.',
    );
  }

  private alerts(rows: Alert[]): HTMLElement {
    const zone = this.state.shownZone;
    return table('Alerts', ['Rule', 'Since', 'Until', 'What'], rows.map((a) => [a.rule, zone.full(toMs(a.since)), a.until === null ? 'stands' : zone.full(toMs(a.until)), a.message]), 'None so far.');
  }

  private jobs(rows: Job[]): HTMLElement {
    const zone = this.state.shownZone;
    return table('Nightly jobs', ['Job', 'Session', 'Started', 'Took', 'Result', 'What came of it'], rows.map((j) => [j.name, day(j.day), zone.full(toMs(j.started)), j.finished === null ? NONE : age((j.finished - j.started) / 1e6), j.result, j.message]), 'None has run: they need --schedule, or `tickcast nightly`.');
  }

  csv(): Table {
    const keys = ['symbol', 'day', 'traded', 'no_trade', 'unknown', 'gaps', 'late', 'revised', 'backfilled', 'duplicates'] as const;
    return { head: [...keys], rows: this.rows.map((r) => keys.map((k) => r[k])) };
  }
}
