// Mode, session, clock, connection, notice: what holds for the whole page.

import { byId, el, setAttr, setText } from './dom';
import { age, countdown } from './format';
import type { State } from './state';
import { toMs, type Status } from './types';

const MODE_NOTES: Record<Status['mode'], string> = {
  LIVE: '',
  DELAYED: 'prices are late by their source',
  REPLAY: 'recorded data, not now',
  SIMULATED: 'a made-up market, no real prices',
};

const REAL_DATA = 'script/run --feed coinbase';

export class TopBar {
  private word = byId('mode-word');
  private note = byId('mode-note');
  private mark = byId('mark');
  private session = byId('session');
  private clock = byId<HTMLButtonElement>('clock');
  private clockTime = el('b');
  private clockDay = el('span');
  private conn = byId('conn');
  private connText = byId('conn-text');
  private notice = byId('notice');
  private noticeFor = '';
  private dismissed = '';

  constructor(private state: State) {
    state.on('status', (s) => this.status(s));
    state.on('conn', () => this.connection());
    state.on('clock', () => this.tick());
    state.on('look', () => this.tick());
    this.clock.append(this.clockTime, this.clockDay, el('i', { class: 'sr', text: ', press to change zone' }));
    this.clock.addEventListener('click', () => {
      state.useOwnZone = !state.useOwnZone;
      state.emit('look');
    });
    try {
      this.dismissed = sessionStorage.getItem('tickcast.notice') ?? '';
    } catch {
      this.dismissed = '';
    }
  }

  private status(s: Status): void {
    document.documentElement.dataset.mode = s.mode;
    setText(this.word, s.mode_text || s.mode);
    setText(this.note, this.state.ended && s.mode === 'REPLAY' ? 'complete' : MODE_NOTES[s.mode]);
    this.mark.dataset.mode = s.mode === 'LIVE' ? '' : s.mode; // drawn by the style sheet: it is ground, not text
    this.writeNotice(s);
    this.tick();
  }

  private writeNotice(s: Status): void {
    const text = s.notice ?? (s.mode === 'SIMULATED' ? 'This market is made up by tickcast, so its scores count nowhere else. For real data, stop it and run' : '');
    if (text === this.noticeFor) return;
    this.noticeFor = text;
    this.notice.hidden = !text || this.dismissed === text;
    if (this.notice.hidden) return;
    const close = el('button', { type: 'button', class: 'text-button', text: 'Dismiss' });
    close.addEventListener('click', () => {
      this.notice.hidden = true;
      this.dismissed = text;
      try {
        sessionStorage.setItem('tickcast.notice', text);
      } catch {
        // Refused in private windows: it then comes back with the next load.
      }
    });
    const command = s.mode === 'SIMULATED' && !/`|--feed|script\//.test(text) ? el('code', { text: REAL_DATA }) : null;
    this.notice.replaceChildren(el('span', {}, ...withCode(text), ' ', command), close);
  }

  tick(): void {
    const s = this.state.status;
    const c = s?.calendar;
    const now = this.state.marketNow();
    const z = this.state.shownZone;
    if (!s) return;
    setText(this.clockTime, z.time(now));
    setText(this.clockDay, `${z.dayShort(now)} · ${z.name}`);
    setText(this.session, `${c ? this.sessionWords(c, now) : ''}`);
    this.session.dataset.zone = z.name; // on a phone it stands here, for want of room beside the clock
    this.connection();
  }

  private sessionWords(c: NonNullable<Status['calendar']>, now: number): string {
    const name = c.name === 'always' ? 'always open' : c.name.toUpperCase();
    if (c.state === 'always' || c.name === 'always') return 'Always open';
    const until = (t: number | null) => (t === null ? '' : countdown(toMs(t) - now));
    if (c.state === 'open') return `${name} open${c.close !== null ? `, closes ${c.early_close ? 'early ' : ''}in ${until(c.close)}` : ''}`;
    const left = c.next_open !== null ? toMs(c.next_open) - now : null;
    const word = c.phase === 'pre' ? 'before the open' : c.phase === 'after' ? 'after hours' : 'closed';
    return `${name} ${word}${left !== null && left > 0 ? `, opens in ${countdown(left)}` : ''}`;
  }

  connection(): void {
    const st = this.state;
    const since = Date.now() - st.connSinceMs;
    let text = '';
    if (st.conn === 'live') text = st.statusAtMs && Date.now() - st.statusAtMs > 4000 ? `connected, quiet for ${age(Date.now() - st.statusAtMs)}` : 'connected';
    else if (st.conn === 'connecting') text = since > 3000 ? `no answer for ${age(since)}, trying again` : 'connecting';
    else if (st.conn === 'catching-up') text = 'back, catching up';
    else if (st.conn === 'denied') text = 'not allowed: open the address with the token';
    else text = `connection lost ${age(since)} ago, trying again`;
    setText(this.connText, text);
    setAttr(this.conn, 'data-state', st.conn);
    document.documentElement.dataset.conn = st.conn;
  }
}

/* A command to type stands between backticks, or is what begins with the program's name and an option follows. */
function withCode(text: string): Node[] {
  const marked = text.includes('`') ? text : text.replace(/(?:script\/run|tickcast \w+) --[^.;]*/, (c) => `\`${c.trimEnd()}\``);
  return marked.split('`').map((part, i) => (i % 2 ? el('code', { text: part }) : document.createTextNode(part)));
}
