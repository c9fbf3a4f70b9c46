// The watch list. Only visible rows exist; a row is reused for another symbol as the list scrolls.

import { el, perFrame, setAttr, setClass, setText, svg } from './dom';
import { age, num, pct, signed } from './format';
import type { Arrow, State, Sym } from './state';
import { reducedMotion, type Theme } from './theme';

const ROW = 30; // px, as in style.css

type SortKey = 'symbol' | 'last' | 'change';

class Row {
  readonly root: HTMLElement;
  symbol = '';
  private name = el('span', { class: 'w-sym', 'aria-hidden': 'true' });
  private line = svg('polyline', { fill: 'none' });
  private last = el('span', { class: 'w-last', 'aria-hidden': 'true' });
  private change = el('span', { class: 'w-change', 'aria-hidden': 'true' });
  private next = el('span', { class: 'w-arrow', 'aria-hidden': 'true' });
  private minute = el('span', { class: 'w-arrow', 'aria-hidden': 'true' });
  private dot = el('span', { class: 'dot', 'aria-hidden': 'true' });
  private spoken = el('span', { class: 'sr' });
  private shownLast: number | null = null;

  constructor(private theme: Theme) {
    const spark = svg('svg', { class: 'w-spark', viewBox: '0 0 60 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.line);
    this.root = el('div', { class: 'w-row', role: 'option' }, this.name, spark, this.last, this.change, this.next, this.minute, this.dot, this.spoken);
  }

  write(s: Sym, state: State, index: number, total: number, selected: boolean): void {
    const fresh = this.symbol === s.symbol;
    this.symbol = s.symbol;
    this.root.id = `row-${index}`;
    setAttr(this.root, 'aria-posinset', String(index + 1));
    setAttr(this.root, 'aria-setsize', String(total));
    setAttr(this.root, 'aria-selected', selected ? 'true' : 'false');
    this.root.style.transform = `translateY(${index * ROW}px)`;
    this.root.dataset.symbol = s.symbol;
    setText(this.name, s.symbol);
    this.name.title = s.symbol;
    setText(this.last, num(s.last, s.decimals));
    const move = s.last !== null && s.open ? s.last / s.open - 1 : null;
    setText(this.change, move === null ? '–' : `${signed(move * 100, 2)} %`);
    setClass(this.change, 'up', (move ?? 0) > 0);
    setClass(this.change, 'down', (move ?? 0) < 0);
    this.spark(s);
    // A forecast whose target has passed says nothing of what is to come.
    const closed = state.status?.calendar?.state === 'closed';
    const next = !closed && s.next && (s.lastMs ?? 0) - s.next.originMs < 5000 ? s.next : null;
    const minute = !closed && s.last60 && state.marketNow() - s.last60.originMs < 65_000 ? s.last60 : null;
    arrow(this.next, next, 'next trade', s);
    arrow(this.minute, minute, 'in 1 min', s);
    const ageMs = state.ageMs(s);
    const freshness = state.freshness(ageMs);
    setAttr(this.dot, 'class', `dot ${freshness}`);
    this.dot.title = `newest data ${age(ageMs)} old`;
    setClass(this.root, 'stale', freshness === 'stale');
    if (fresh && this.shownLast !== null && s.last !== null && s.last !== this.shownLast) this.tint(s.last > this.shownLast);
    this.shownLast = s.last;
    setText(this.spoken, this.words(s, move, freshness, ageMs, next, minute));
  }

  private words(s: Sym, move: number | null, freshness: string, ageMs: number | null, next: Arrow | null, minute: Arrow | null): string {
    const fc = (a: Arrow | null, what: string) => (a ? `${what} ${direction(a, s)}${a.gate ? '' : ', gate closed'}` : '');
    const parts = [s.symbol, num(s.last, s.decimals), move === null ? '' : `${move < 0 ? 'down' : 'up'} ${pct(Math.abs(move), 2)}`];
    parts.push(fc(next, 'next trade'), fc(minute, 'in one minute'));
    if (freshness !== 'fresh') parts.push(`data ${age(ageMs)} old`);
    return parts.filter(Boolean).join(', ');
  }

  private spark(s: Sym): void {
    const v = s.spark;
    if (v.length < 2) return setAttr(this.line, 'points', '');
    let lo = Infinity;
    let hi = -Infinity;
    for (const x of v) {
      if (x < lo) lo = x;
      if (x > hi) hi = x;
    }
    const span = hi - lo || 1;
    let points = '';
    for (let i = 0; i < v.length; i++) {
      const y = hi === lo ? 10 : 18 - (((v[i] as number) - lo) / span) * 16;
      points += `${(60 - ((v.length - 1 - i) * 60) / 59).toFixed(1)},${y.toFixed(1)} `;
    }
    setAttr(this.line, 'points', points);
  }

  private tint(up: boolean): void {
    if (reducedMotion.matches) return;
    const c = up ? this.theme.colours.up : this.theme.colours.down;
    this.last.animate([{ backgroundColor: `${c}44` }, { backgroundColor: 'transparent' }], { duration: 700, easing: 'ease-out' });
  }
}

export function direction(a: Arrow, s: Sym): 'up' | 'down' | 'flat' {
  const ref = a.reference ?? s.last;
  if (ref === null) return 'flat';
  const tick = 1 / 10 ** s.decimals;
  return a.value - ref > tick * 0.05 ? 'up' : a.value - ref < -tick * 0.05 ? 'down' : 'flat';
}

function arrow(node: HTMLElement, a: Arrow | null, what: string, s: Sym): void {
  if (!a) {
    setText(node, '');
    setAttr(node, 'class', 'w-arrow');
    node.title = '';
    return;
  }
  const d = direction(a, s);
  setText(node, d === 'up' ? '▲' : d === 'down' ? '▼' : '■');
  setAttr(node, 'class', `w-arrow ${a.gate ? d : 'closed'} ${d}-shape`);
  node.title = a.gate
    ? `${what}: ${num(a.value, s.decimals + 1)}, gate open`
    : `${what}: gate closed, no change is the better forecast (the model says ${num(a.value, s.decimals + 1)})`;
}

export class WatchList {
  private order: string[] = [];
  private pool: Row[] = [];
  private sort: { key: SortKey; dir: 1 | -1 } = { key: 'symbol', dir: 1 };
  private query = '';
  private over = false;
  private draw = perFrame(() => this.paint());
  private lastSort = 0;
  private buttons = new Map<SortKey, HTMLButtonElement>();

  constructor(
    private scroller: HTMLElement,
    private rows: HTMLElement,
    private cols: HTMLElement,
    private search: HTMLInputElement,
    private count: HTMLElement,
    private message: HTMLElement,
    private state: State,
    private theme: Theme,
    private pick: (symbol: string) => void,
  ) {
    this.columns();
    scroller.addEventListener('scroll', this.draw, { passive: true });
    scroller.addEventListener('pointerenter', () => (this.over = true));
    scroller.addEventListener('pointerleave', () => (this.over = false));
    scroller.addEventListener('click', (e) => {
      const row = (e.target as Element).closest<HTMLElement>('.w-row');
      if (row?.dataset.symbol) this.pick(row.dataset.symbol);
    });
    scroller.addEventListener('keydown', (e) => this.key(e));
    search.addEventListener('input', () => {
      this.query = search.value.trim().toUpperCase();
      this.arrange();
    });
    search.addEventListener('keydown', (e) => this.searchKey(e));
    new ResizeObserver(this.draw).observe(scroller);
    state.on('symbols', () => this.arrange());
    state.on('tick', this.draw);
    state.on('look', this.draw);
    state.on('selected', () => {
      this.reveal();
      this.draw();
    });
    state.on('clock', () => {
      if (this.sort.key !== 'symbol' && !this.over && Date.now() - this.lastSort > 2000) this.arrange();
      else this.draw();
    });
  }

  private columns(): void {
    const add = (key: SortKey, label: string, cls: string) => {
      const b = el('button', { type: 'button', class: cls, text: label });
      b.addEventListener('click', () => {
        const first = key === 'symbol' ? 1 : -1;
        this.sort = this.sort.key === key ? { key, dir: this.sort.dir === 1 ? -1 : 1 } : { key, dir: first };
        this.arrange();
      });
      this.buttons.set(key, b);
      return b;
    };
    this.cols.append(
      add('symbol', 'Symbol', 'w-sym'),
      el('span', { class: 'w-spark', text: '60 s' }),
      add('last', 'Last', 'w-last'),
      add('change', 'Change', 'w-change'),
      el('span', { class: 'w-arrow', text: '1 s', title: 'Forecast of the next second; grey: gate closed' }),
      el('span', { class: 'w-arrow', text: '1 m', title: 'Forecast in one minute; grey: gate closed' }),
      el('span', { class: 'dot-head' }),
    );
  }

  private value(s: Sym): number {
    if (this.sort.key === 'last') return s.last ?? -Infinity;
    return s.last !== null && s.open ? s.last / s.open - 1 : -Infinity;
  }

  arrange(): void {
    this.lastSort = Date.now();
    let list = [...this.state.symbols.values()];
    if (this.query) {
      list = list.filter((s) => s.symbol.toUpperCase().includes(this.query));
    }
    const dir = this.sort.dir;
    list.sort((a, b) => {
      const by = this.sort.key === 'symbol' ? 0 : (this.value(a) - this.value(b)) * dir;
      return by || (a.symbol < b.symbol ? -1 : 1) * (this.sort.key === 'symbol' ? dir : 1);
    });
    this.order = list.map((s) => s.symbol);
    this.rows.style.height = `${this.order.length * ROW}px`;
    for (const [key, b] of this.buttons) {
      const on = key === this.sort.key;
      setClass(b, 'on', on);
      setAttr(b, 'aria-pressed', on ? 'true' : 'false');
      b.title = on ? (dir === 1 ? 'rising; click to turn' : 'falling; click to turn') : 'sort by this';
      b.dataset.dir = on ? (dir === 1 ? '↑' : '↓') : '';
    }
    const total = this.state.symbols.size;
    setText(this.count, this.query ? `${this.order.length} of ${total}` : total ? String(total) : '');
    this.say();
    this.draw();
  }

  private say(): void {
    const total = this.state.symbols.size;
    let text: string | null = null;
    if (this.state.symbolsError && !total) text = this.state.symbolsError;
    else if (!this.state.symbolsLoaded) text = 'Loading symbols…';
    else if (!total) text = 'No symbol yet: the feed has sent nothing. They appear here with their first bar.';
    else if (!this.order.length) text = `No symbol matches “${this.search.value}”. Esc clears the search.`;
    this.message.hidden = text === null;
    if (text !== null) setText(this.message, text);
  }

  private paint(): void {
    const height = this.scroller.clientHeight;
    if (!height) return;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - 2);
    const n = Math.min(this.order.length - first, Math.ceil(height / ROW) + 4);
    while (this.pool.length < n) {
      const row = new Row(this.theme);
      this.pool.push(row);
      this.rows.append(row.root);
    }
    const chosen = this.state.link.symbol;
    let active = '';
    this.pool.forEach((row, i) => {
      const s = i < n ? this.state.symbols.get(this.order[first + i] ?? '') : undefined;
      row.root.hidden = !s;
      if (!s) return;
      const sel = s.symbol === chosen;
      row.write(s, this.state, first + i, this.order.length, sel);
      if (sel) active = row.root.id;
    });
    if (active) setAttr(this.scroller, 'aria-activedescendant', active);
    else this.scroller.removeAttribute('aria-activedescendant');
  }

  /* Next or previous symbol in the order shown. */
  step(by: number): void {
    if (!this.order.length) return;
    const i = this.order.indexOf(this.state.link.symbol ?? '');
    const next = this.order[Math.max(0, Math.min(this.order.length - 1, i < 0 ? 0 : i + by))];
    if (next) this.pick(next);
  }

  private reveal(): void {
    const i = this.order.indexOf(this.state.link.symbol ?? '');
    if (i < 0) return;
    const top = i * ROW;
    const view = this.scroller;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + ROW > view.scrollTop + view.clientHeight) view.scrollTop = top + ROW - view.clientHeight;
  }

  private key(e: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e6, End: 1e6 };
    const by = steps[e.key];
    if (by === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    this.step(by);
  }

  focusSearch(): void {
    this.search.focus();
    this.search.select();
  }

  private searchKey(e: KeyboardEvent): void {
    if (e.key === 'Enter') {
      const first = this.order[0];
      if (first) this.pick(first);
      this.clearSearch();
    } else if (e.key === 'Escape') {
      this.clearSearch();
    } else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      this.step(e.key === 'ArrowDown' ? 1 : -1);
    }
    e.stopPropagation();
  }

  private clearSearch(): void {
    this.search.value = '';
    this.query = '';
    this.search.blur();
    this.arrange();
    this.scroller.focus();
  }

  table(): { head: string[]; rows: (string | number | null)[][] } {
    return {
      head: ['symbol', 'last', 'open', 'volume', 'bid', 'ask', 'last_time_utc'],
      rows: this.order.map((name) => {
        const s = this.state.symbols.get(name);
        return [name, s?.last ?? null, s?.open ?? null, s?.volume ?? null, s?.bid ?? null, s?.ask ?? null, s?.lastMs ? new Date(s.lastMs).toISOString() : null];
      }),
    };
  }
}
