// Theme, colours and time zone, in one small dialog.

import { Segment, el } from './dom';
import type { State } from './state';
import type { Look, Palette, Theme } from './theme';

export function settingsBody(state: State, theme: Theme, setTheme: (t: Look['theme']) => void): HTMLElement {
  const row = (label: string, host: HTMLElement, hint: string) => {
    host.setAttribute('role', 'radiogroup');
    host.setAttribute('aria-label', label);
    return el('div', { class: 'setting' }, el('b', { text: label }), host, el('p', { class: 'dim', text: hint }));
  };
  const themes = el('div', { class: 'segment' });
  const t = new Segment<Look['theme']>(
    themes,
    [
      { value: 'system', label: 'As the system' },
      { value: 'dark', label: 'Dark' },
      { value: 'light', label: 'Light' },
    ],
    (v) => {
      setTheme(v);
      t.set(v);
    },
  );
  t.set(state.link.theme ?? theme.look.theme);
  const colours = el('div', { class: 'segment' });
  const p = new Segment<Palette>(
    colours,
    [
      { value: 'classic', label: 'Green up' },
      { value: 'swapped', label: 'Red up' },
      { value: 'safe', label: 'Colour-blind set' },
    ],
    (v) => {
      theme.set({ palette: v });
      p.set(v);
    },
  );
  p.set(theme.look.palette);
  const zones = el('div', { class: 'segment' });
  const z = new Segment<'exchange' | 'own'>(
    zones,
    [
      { value: 'exchange', label: `Exchange (${state.zone.name})` },
      { value: 'own', label: `Yours (${state.ownZone.name})` },
    ],
    (v) => {
      state.useOwnZone = v === 'own';
      state.emit('look');
      z.set(v);
    },
  );
  z.set(state.useOwnZone ? 'own' : 'exchange');
  return el(
    'div',
    { class: 'settings' },
    row('Theme', themes, 'A theme in the address goes before this.'),
    row('Up and down', colours, 'Direction is also told by sign and shape, never by colour alone.'),
    row('Times', zones, 'The zone is always named beside the time.'),
  );
}
