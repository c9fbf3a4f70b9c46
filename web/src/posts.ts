// What people write: the newest posts with their score, symbols and age; and the mean of each minute for the chart.
// Every text goes through textContent (dom.ts): a post is never markup.

import { explain, getJson } from './api';
import { Segment, el, perFrame, setText, throttle } from './dom';
import { age, signed } from './format';
import type { State } from './state';
import { toMs, type Post } from './types';

const KEEP = 200;
const SHOWN = 80;
const NEUTRAL = 0.05; // as VADER's authors put it

/* What posts call an instrument: `coinbase:BTC-USD` is BTC, `SPY` is itself (as src/social/tickers.c has it). */
export function tickerOf(instrument: string): string {
  const at = instrument.indexOf(':');
  if (at < 0) return instrument;
  const name = instrument.slice(at + 1);
  const base = name.split(/[-/_]/)[0] ?? name;
  if (base !== name) return base;
  for (const quote of ['USDT', 'USDC', 'USD', 'EUR']) if (name.length > quote.length + 1 && name.endsWith(quote)) return name.slice(0, -quote.length);
  return name;
}

export type Tone = 'up' | 'down' | 'none';
export function toneOf(compound: number | null): Tone {
  return compound === null || Math.abs(compound) < NEUTRAL ? 'none' : compound > 0 ? 'up' : 'down';
}

const WORDS: Record<Tone, string> = { up: 'positive', down: 'negative', none: 'neutral' };

export class Posts {
  private byId = new Map<string, Post>();
  private removed = new Set<string>(); // so that an answer that was under way brings none back
  private only = false; // the chosen symbol's alone
  private error: string | null = null;
  private loaded = false;
  private filter: Segment<string>;
  private items = new Map<string, HTMLElement>();
  private draw: () => void;

  constructor(
    private body: HTMLElement,
    filterHost: HTMLElement,
    private message: HTMLElement,
    private note: HTMLElement,
    private state: State,
    private select: (symbol: string) => void,
  ) {
    this.filter = new Segment<string>(
      filterHost,
      [
        { value: 'all', label: 'All', title: 'Posts of every symbol' },
        { value: 'one', label: 'Symbol', title: 'Posts that mention the chosen symbol' },
      ],
      (v) => {
        this.only = v === 'one';
        this.filter.set(v);
        void this.load();
        this.draw();
      },
    );
    this.filter.set('all');
    this.draw = perFrame(() => this.write());
    state.on('selected', () => {
      if (this.only) void this.load();
      this.draw();
    });
    state.on('clock', () => this.ages());
    state.on('status', () => this.draw());
  }

  /* Does this server have posts at all? */
  get any(): boolean {
    return this.byId.size > 0 || (this.state.status?.posts?.length ?? 0) > 0;
  }

  get newestMs(): number | null {
    let newest: number | null = null;
    for (const p of this.byId.values()) newest = Math.max(newest ?? 0, toMs(p.available));
    return newest;
  }

  async load(): Promise<void> {
    const symbol = this.only ? this.state.link.symbol : null;
    try {
      const a = await getJson<{ posts: Post[] }>('posts', { limit: SHOWN, symbol });
      for (const p of a.posts) this.keep(p);
      this.error = null;
      this.loaded = true;
    } catch (e) {
      this.error = explain(e, 'the posts');
    }
    this.draw();
  }

  take(p: Post): void {
    this.keep(p);
    this.draw();
  }

  remove(id: string): void {
    this.removed.add(id);
    this.byId.delete(id);
    this.draw();
  }

  private keep(p: Post): void {
    if (this.removed.has(p.id)) return;
    this.byId.set(p.id, p);
    if (this.byId.size <= KEEP * 2) return;
    const newest = [...this.byId.values()].sort((a, b) => b.created - a.created).slice(0, KEEP);
    this.byId = new Map(newest.map((x) => [x.id, x]));
  }

  private shown(): Post[] {
    const ticker = this.only && this.state.link.symbol ? tickerOf(this.state.link.symbol) : null;
    return [...this.byId.values()]
      .filter((p) => !ticker || p.mentions.some((m) => m.symbol === ticker))
      .sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1))
      .slice(0, SHOWN);
  }

  private write(): void {
    document.body.classList.toggle('has-posts', this.any);
    const list = this.shown();
    const keep = new Set(list.map((p) => p.id));
    for (const [id, node] of this.items)
      if (!keep.has(id)) {
        node.remove();
        this.items.delete(id);
      }
    list.forEach((p, i) => {
      let node = this.items.get(p.id);
      if (!node) this.items.set(p.id, (node = this.item(p)));
      const there = this.body.children[i];
      if (there !== node) this.body.insertBefore(node, there ?? null);
    });
    const sources = this.state.status?.posts ?? [];
    const bad = sources.find((s) => !s.healthy && s.note);
    setText(this.note, bad ? `${bad.source}: ${bad.note}` : sources.map((s) => s.source).join(', '));
    this.note.classList.toggle('warn', Boolean(bad));
    this.message.hidden = list.length > 0;
    if (!list.length) setText(this.message, this.error ?? (!this.loaded ? 'Loading posts…' : this.only ? `Nobody mentions ${this.state.link.symbol ?? 'it'} here yet.` : 'No post yet. The first one appears here by itself.'));
    this.ages();
  }

  private item(p: Post): HTMLElement {
    const tone = toneOf(p.compound);
    const score = el('span', {
      class: `p-score ${tone}`,
      text: p.compound === null ? 'no score' : signed(p.compound, 2),
      title: p.compound === null ? 'Built without a lexicon: not scored' : `${WORDS[tone]}: positive ${p.pos}, neutral ${p.neu}, negative ${p.neg}`,
    });
    if (p.compound !== null) score.append(el('span', { class: 'sr', text: ` ${WORDS[tone]}` }));
    const head = el('div', { class: 'p-head' }, score);
    for (const m of p.mentions) head.append(this.mention(m.symbol, m.evidence, m.counted));
    const where = p.place || p.source;
    const safe = /^https:\/\//.test(p.url);
    head.append(
      safe ? el('a', { class: 'p-where', href: p.url, target: '_blank', rel: 'noopener noreferrer', text: where }) : el('span', { class: 'p-where', text: p.origin === 'simulated' ? 'simulated' : where }),
      el('span', { class: 'p-age', 'data-created': toMs(p.created) }),
    );
    return el('article', { class: 'post' }, head, el('p', { text: p.text }));
  }

  private mention(symbol: string, evidence: string, counted: boolean): HTMLElement {
    const own = [...this.state.symbols.keys()].find((s) => tickerOf(s) === symbol);
    const why = `found by ${evidence}${counted ? '' : '; not counted: the author mentioned it within the hour'}`;
    if (!own) return el('span', { class: 'p-symbol', text: symbol, title: why });
    const b = el('button', { type: 'button', class: 'p-symbol', text: symbol, title: why, 'aria-label': `Show ${symbol}` });
    b.addEventListener('click', () => this.select(own));
    return b;
  }

  private ages(): void {
    const now = this.state.serverNow();
    for (const node of this.body.querySelectorAll<HTMLElement>('.p-age')) setText(node, age(Math.max(0, now - Number(node.dataset.created))));
  }
}

export interface Minute {
  minute: number; // s since 1970
  n: number;
  mean: number;
}

/* The minutes of the chosen symbol. The whole is asked for once, and the last minutes again when somebody wrote. */
export class Moods {
  private minutes = new Map<number, Minute>();
  private symbol: string | null = null;
  private wanted = throttle(5000, () => void this.fetch(this.newest()));

  constructor(
    private changed: (minutes: Map<number, Minute>) => void,
  ) {}

  open(symbol: string | null): void {
    this.symbol = symbol;
    this.minutes = new Map();
    this.changed(this.minutes);
    if (symbol) void this.fetch(null);
  }

  take(p: Post): void {
    const ticker = this.symbol ? tickerOf(this.symbol) : null;
    if (ticker && p.mentions.some((m) => m.symbol === ticker && m.counted)) this.wanted();
  }

  again(): void {
    if (this.symbol) void this.fetch(null);
  }

  private newest(): number | null {
    let newest: number | null = null;
    for (const m of this.minutes.keys()) newest = Math.max(newest ?? 0, m);
    return newest;
  }

  private async fetch(from: number | null): Promise<void> {
    const symbol = this.symbol;
    try {
      const a = await getJson<{ minutes: { minute: number; n: number; mean: number }[] }>('sentiment', { symbol, limit: 11000, from: from === null ? null : `${from - 600}000000000` });
      if (symbol !== this.symbol) return;
      if (from === null) this.minutes.clear();
      for (const m of a.minutes) this.minutes.set(Math.round(m.minute / 1e9), { ...m, minute: Math.round(m.minute / 1e9) });
      this.changed(this.minutes);
    } catch {
      // The strip stays as it was; the next post asks again.
    }
  }
}
