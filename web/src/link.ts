// The address holds what is looked at: #s=SPY&i=1s&r=180&theme=dark&m=lstm. Anything odd falls back silently.

import type { Interval } from './types';

export interface Link {
  symbol: string | null;
  interval: Interval;
  range: number | null; // bars that the chart shows
  theme: 'dark' | 'light' | null; // null = as the system says
  model: string | null;
}

export function parseLink(hash: string): Link {
  const q = new URLSearchParams(hash.replace(/^#/, ''));
  const interval = q.get('i');
  const theme = q.get('theme');
  const range = Number(q.get('r') ?? NaN);
  const symbol = q.get('s');
  return {
    symbol: symbol && symbol.length <= 32 ? symbol : null,
    interval: interval === '1m' || interval === '1h' ? interval : '1s',
    range: Number.isFinite(range) && range >= 10 && range <= 20_000 ? Math.round(range) : null,
    theme: theme === 'dark' || theme === 'light' ? theme : null,
    model: q.get('m'),
  };
}

export function formatLink(l: Link): string {
  const q = new URLSearchParams();
  if (l.symbol) q.set('s', l.symbol);
  q.set('i', l.interval);
  if (l.range) q.set('r', String(l.range));
  if (l.theme) q.set('theme', l.theme);
  if (l.model) q.set('m', l.model);
  return `#${q.toString().replaceAll('%3A', ':')}`;
}
