// Everything by keyboard; `?` shows what there is.

import { el } from './dom';

export interface Key {
  keys: string[];
  words: string;
  run?: () => void;
}

export function bindKeys(keys: Key[], blocked: () => boolean): void {
  const table = new Map<string, () => void>();
  for (const k of keys) if (k.run) for (const name of k.keys) table.set(name, k.run);
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || blocked()) return;
    const t = e.target as HTMLElement | null;
    if (t && (t.tagName === 'INPUT' || t.tagName === 'SELECT' || t.isContentEditable)) return;
    const run = table.get(e.key);
    if (!run) return;
    e.preventDefault();
    run();
  });
}

export function helpBody(keys: Key[]): HTMLElement {
  const list = el('dl', { class: 'keys' });
  for (const k of keys) {
    const dt = el('dt', {}, ...k.keys.map((name) => el('kbd', { text: name })));
    list.append(el('div', {}, dt, el('dd', { text: k.words })));
  }
  const lines: [string, string][] = [
    ['Forecast', 'Drawn at the time it speaks of, right of the last bar, with its 90 % band. A hollow point at the end of a dashed line: the gate is closed, the model is not measurably better than “no change”, which is drawn in its place.'],
    ['Past forecasts', 'The ribbon is the band as it was said, at its target time; a dot is a price that fell outside.'],
    ['Empty and hatched', 'An empty second had no trade. A hatched span is unknown: the feed was not healthy. Nothing is filled in.'],
    ['R, B, L', 'A bar that was revised, back-filled, or came late.'],
    ['Skill', 'Error is root mean square, divided by that of “no change” on the same samples. Below 1 is skill. Forecasts issued late never count.'],
  ];
  const words = el('div', { class: 'help-words' }, ...lines.map(([a, b]) => el('p', {}, el('b', { text: a }), ` ${b}`)));
  const licences = el('p', { class: 'dim' }, 'Price chart: TradingView Lightweight Charts™, © TradingView, Inc. Strips: uPlot. Type: Inter. ', el('a', { href: 'assets/licenses.txt', text: 'Licences' }));
  return el('div', { class: 'help' }, list, words, licences);
}
