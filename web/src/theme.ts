// Theme and colours. The choices stay in localStorage; a theme in the address wins over both.

import type { State } from './state';

export type Palette = 'classic' | 'swapped' | 'safe';

export interface Look {
  theme: 'dark' | 'light' | 'system';
  palette: Palette;
}

export interface Colours {
  bg: string;
  text: string;
  muted: string;
  faint: string;
  line: string;
  up: string;
  down: string;
  forecast: string;
  band: string;
  accent: string;
  warn: string;
  hatch: string;
  font: string;
}

const KEY = 'tickcast.look';

function load(): Look {
  try {
    const v = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Look>;
    return {
      theme: v.theme === 'dark' || v.theme === 'light' ? v.theme : 'system',
      palette: v.palette === 'swapped' || v.palette === 'safe' ? v.palette : 'classic',
    };
  } catch {
    return { theme: 'system', palette: 'classic' };
  }
}

export class Theme {
  look = load();
  colours: Colours;
  private system = matchMedia('(prefers-color-scheme: light)');

  constructor(private state: State) {
    this.system.addEventListener('change', () => this.apply());
    this.colours = this.write();
  }

  get shown(): 'dark' | 'light' {
    if (this.state.link.theme) return this.state.link.theme;
    if (this.look.theme !== 'system') return this.look.theme;
    return this.system.matches ? 'light' : 'dark';
  }

  set(change: Partial<Look>): void {
    this.look = { ...this.look, ...change };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.look));
    } catch {
      // Private windows may refuse; the choice then lasts as long as the page.
    }
    this.apply();
  }

  apply(): void {
    this.colours = this.write();
    this.state.emit('look');
  }

  private write(): Colours {
    const root = document.documentElement;
    root.dataset.theme = this.shown;
    root.dataset.palette = this.look.palette;
    const css = getComputedStyle(root);
    const v = (name: string) => css.getPropertyValue(`--${name}`).trim();
    return {
      bg: v('panel'),
      text: v('text'),
      muted: v('muted'),
      faint: v('faint'),
      line: v('line'),
      up: v('up'),
      down: v('down'),
      forecast: v('forecast'),
      band: v('band'),
      accent: v('accent'),
      warn: v('warn'),
      hatch: v('hatch'),
      font: v('font'),
    };
  }
}

export const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
