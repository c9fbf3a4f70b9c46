// The bar under the top that says why nothing moves while the market is closed, counts down to the open, and
// offers what there is to see: the last session again, or a market that never closes.

import { byId, el, patch } from './dom';
import { countdown } from './format';
import type { State } from './state';
import { toMs, type Calendar } from './types';

export interface NightHandlers {
  replay(): void;
  stop(): void;
  speed(s: number): void;
  choose(symbol: string): void;
}

const SPEEDS = [1, 10, 60, 300];

export class Night {
  private root = byId('night');
  playing: { day: string; speed: number; ended: boolean } | null = null;

  constructor(
    private state: State,
    private handlers: NightHandlers,
  ) {
    state.on('status', () => this.write());
    state.on('clock', () => this.write());
    state.on('symbols', () => this.write());
  }

  /* A market beside the exchange's that is open now, if the program follows one. */
  private openSymbol(): string | null {
    const open = [...this.state.symbols.values()].filter((s) => s.calendar === 'always').map((s) => s.symbol);
    return open.find((s) => /BTC/.test(s)) ?? open[0] ?? null;
  }

  private button(text: string, title: string, fn: () => void, pressed?: boolean): HTMLButtonElement {
    const b = el('button', { type: 'button', class: 'text-button', text, title, 'aria-pressed': pressed === undefined ? null : String(pressed) });
    b.addEventListener('click', fn);
    return b;
  }

  private closed(c: Calendar): (Node | null)[] {
    const z = this.state.shownZone;
    const now = this.state.marketNow();
    const why = c.reason && c.reason !== 'weekend' ? ` (${c.reason})` : c.reason === 'weekend' ? ' for the weekend' : '';
    const left = c.next_open === null ? 0 : toMs(c.next_open) - now;
    const opens = left > 0 && c.next_open !== null ? ` It opens on ${z.weekday(toMs(c.next_open))} at ${z.time(toMs(c.next_open), false)} ${z.name}, in ${countdown(left)}.` : '';
    const shown = c.last ? ` Shown is the session of ${z.weekday(toMs(c.last.open))}, ${z.dayShort(toMs(c.last.open))}.` : '';
    const other = this.openSymbol();
    return [
      el('span', { text: `${c.name.toUpperCase()} is closed${why}.${opens}${shown}` }),
      c.last && this.state.selected ? this.button('Replay that session', 'Plays it again on this page, from what is stored', () => this.handlers.replay()) : null,
      other
        ? this.button(`Crypto now: ${other}`, 'A market that never closes', () => this.handlers.choose(other))
        : el('span', { class: 'dim' }, 'Open now: ', el('code', { text: 'script/run --feed coinbase --symbols BTC-USD,ETH-USD' })),
    ];
  }

  private playingNodes(p: NonNullable<Night['playing']>): Node[] {
    const speeds = SPEEDS.map((s) => this.button(`${s}×`, `${s} times as fast as it was`, () => this.handlers.speed(s), s === p.speed));
    return [
      el('span', { text: p.ended ? `The session of ${p.day} is over.` : `Playing the session of ${p.day} again: not now.` }),
      ...(p.ended ? [this.button('Again', 'From its open', () => this.handlers.replay())] : speeds),
      this.button('Stop', 'Back to what is now', () => this.handlers.stop()),
    ];
  }

  write(): void {
    const s = this.state.status;
    const c = s?.calendar ?? null;
    const live = s?.mode === 'LIVE' || s?.mode === 'DELAYED' || s?.mode === 'SIMULATED';
    const show = this.playing !== null || (live && c !== null && c.state === 'closed');
    this.root.hidden = !show;
    if (!show) return;
    const key = this.playing ? `p${this.playing.day}${this.playing.speed}${this.playing.ended}` : 'closed';
    const fresh = this.playing ? this.playingNodes(this.playing) : this.closed(c as Calendar);
    // Buttons keep their handlers; between two states of the bar everything is made anew.
    if (this.root.dataset.key === key) {
      const text = fresh[0];
      const old = this.root.firstChild;
      if (text && old && old.textContent !== text.textContent) old.textContent = text.textContent;
      if (this.root.childElementCount === fresh.filter((n) => n !== null).length) return;
    }
    this.root.dataset.key = key;
    this.root.replaceChildren();
    patch(this.root, fresh);
  }
}
