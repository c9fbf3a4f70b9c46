// Forecasts of the selected symbol and what came of them. A forecast and its outcome meet here by origin.

import { toMs, type Forecast, type Kind, type Outcome, type OutcomeValue, type Point } from './types';

export interface Pair {
  originMs: number;
  targetMs: number; // when the outcome is, or is to be
  value: number;
  lo: number | null;
  hi: number | null;
  reference: number;
  actual: number | null; // null: not known yet, or never
  gate: boolean;
  late: boolean;
}

const KEEP = 8000;

export class Book {
  private models = new Map<string, Forecast[]>(); // of each model, rising by origin
  private outcomes = new Map<number, Outcome>();

  constructor(readonly symbol: string) {}

  addForecast(f: Forecast): void {
    let all = this.models.get(f.model);
    if (!all) this.models.set(f.model, (all = []));
    let i = all.length;
    while (i > 0 && (all[i - 1] as Forecast).origin_time > f.origin_time) i--;
    if (i > 0 && (all[i - 1] as Forecast).origin_time === f.origin_time) all[i - 1] = f;
    else all.splice(i, 0, f);
    if (all.length > KEEP) all.splice(0, KEEP / 4);
  }

  addOutcome(o: Outcome): void {
    const old = this.outcomes.get(o.origin_time);
    if (old) {
      // The first available outcome stands; a later record may only add targets.
      const have = new Set(old.values.map((v) => `${v.kind}${v.horizon_ms}`));
      old.values.push(...o.values.filter((v) => !have.has(`${v.kind}${v.horizon_ms}`)));
    } else this.outcomes.set(o.origin_time, { ...o, values: [...o.values] });
    if (this.outcomes.size > KEEP) this.forget(KEEP / 4);
  }

  latest(model: string | null): Forecast | null {
    const all = model ? this.models.get(model) : [...this.models.values()][0];
    return all?.[all.length - 1] ?? null;
  }

  private forget(n: number): void {
    const origins = [...this.outcomes.keys()].sort((a, b) => a - b);
    for (const o of origins.slice(0, n)) this.outcomes.delete(o);
  }

  outcome(origin: number, kind: Kind, horizonMs: number): OutcomeValue | null {
    return this.outcomes.get(origin)?.values.find((v) => v.kind === kind && v.horizon_ms === horizonMs) ?? null;
  }

  targets(model: string | null): Point[] {
    return this.latest(model)?.points ?? [];
  }

  /* Forecasts of one target in order of origin, at most the newest `limit`. */
  pairs(model: string | null, kind: Kind, horizonMs: number, limit = 2000): Pair[] {
    const all = model ? this.models.get(model) : undefined;
    if (!all) return [];
    const out: Pair[] = [];
    for (const f of all.slice(-limit)) {
      const p = f.points.find((x) => x.kind === kind && x.horizon_ms === horizonMs);
      if (!p) continue;
      const reference = kind === 'mid' ? f.reference_mid : f.reference;
      if (reference === null || reference === undefined) continue;
      const o = this.outcome(f.origin_time, kind, horizonMs);
      const target = p.target ?? o?.time ?? null;
      out.push({
        originMs: toMs(f.origin_time),
        targetMs: target === null ? toMs(f.origin_time) + 1000 : toMs(target),
        value: p.value,
        lo: p.lo,
        hi: p.hi,
        reference,
        actual: o?.value ?? null,
        gate: p.gate_open,
        late: f.flags.includes('late'),
      });
    }
    return out;
  }
}

export interface Rolling {
  t: number[]; // s
  ratio: (number | null)[]; // RMSE over that of "no change", the same window
  coverage: (number | null)[];
  residual: number[];
}

/* Rolling figures over the last `window` resolved forecasts that were in time. */
export function rolling(pairs: Pair[], window: number): Rolling {
  const done = pairs.filter((p) => p.actual !== null && !p.late);
  const out: Rolling = { t: [], ratio: [], coverage: [], residual: [] };
  let model = 0;
  let persist = 0;
  let inside = 0;
  let banded = 0;
  const sums = (p: Pair, sign: number) => {
    const actual = p.actual as number;
    model += sign * (p.value - actual) ** 2;
    persist += sign * (p.reference - actual) ** 2;
    if (p.lo !== null && p.hi !== null) {
      banded += sign;
      if (actual >= p.lo && actual <= p.hi) inside += sign;
    }
  };
  done.forEach((p, i) => {
    sums(p, 1);
    const gone = done[i - window];
    if (gone) sums(gone, -1);
    const n = Math.min(i + 1, window);
    const enough = n >= Math.min(50, window);
    const t = p.targetMs / 1000;
    const prev = out.t[out.t.length - 1];
    out.t.push(prev !== undefined && t <= prev ? prev + 1e-3 : t);
    out.residual.push((p.actual as number) - p.value);
    out.ratio.push(enough && persist > 1e-12 ? Math.sqrt(Math.max(0, model) / persist) : null);
    out.coverage.push(enough && banded > 0 ? inside / banded : null);
  });
  return out;
}
