// What the API sends (docs/api.md). Times on the wire are ns since 1970; `toMs` makes them ms at the edge.

export interface Bar {
  symbol: string;
  start: number;
  interval_ms: number;
  available: number | null;
  open: number;
  high: number;
  low: number;
  close: number;
  vwap: number | null;
  volume: number;
  trades: number | null;
  bid: number | null;
  ask: number | null;
  bid_size: number | null;
  ask_size: number | null;
  quote_lag_ms: number | null;
  origin: string;
  feed: string;
  revision: number;
  seconds?: number;
}

export interface Gap {
  symbol: string;
  feed: string;
  start: number;
  end: number | null;
  reason: string;
  filled: boolean;
}

export type Kind = 'next' | 'last' | 'mid';

export interface Point {
  kind: Kind;
  horizon_ms: number;
  target: number | null;
  value: number;
  lo: number | null;
  hi: number | null;
  p_down?: number | null;
  p_none?: number | null;
  p_up?: number | null;
  gate_open: boolean;
}

export interface Forecast {
  symbol: string;
  model: string;
  origin_time: number;
  issued: number;
  inputs: string;
  kernel: string;
  reference: number;
  reference_mid: number | null;
  flags: string[];
  points: Point[];
}

export interface OutcomeValue {
  kind: Kind;
  horizon_ms: number;
  time: number;
  value: number | null;
}

export interface Outcome {
  symbol: string;
  origin_time: number;
  values: OutcomeValue[];
}

export interface Score {
  symbol: string;
  model: string;
  kind: Kind;
  horizon_ms: number;
  inputs: string;
  n: number;
  n_late: number;
  rmse: number | null;
  mae: number | null;
  rmse_persistence: number | null;
  ratio: number | null;
  ratio_lo: number | null;
  ratio_hi: number | null;
  ratio_clean: number | null; // without moves that look like bad prints
  n_flagged: number;
  r2: number | null;
  ratio_reversal: number | null;
  ratio_ridge: number | null;
  ratio_microprice: number | null;
  n_microprice: number | null;
  mae_ratio: number | null;
  direction: {
    hits: number;
    moves: number;
    ties: number;
    share: number | null;
    lo: number | null;
    hi: number | null;
    microprice: number | null; // its share on the same forecasts
  } | null;
  dm_t: number | null;
  dm_t_ridge: number | null;
  coverage: number | null;
  width: number | null;
  winkler: number | null;
  beyond: number | null; // share that moves more than half the spread
  n_spread: number;
  brier: number | null;
  brier_base: number | null; // of the best constant
  n_prob: number;
  gate_open: boolean | null; // null: no forecast yet, or a baseline
  simulated: boolean;
}

export interface SymbolRow {
  symbol: string;
  feed: string;
  calendar: string;
  last: number | null;
  last_time: number | null;
  change: number | null;
  change_pct: number | null;
  volume: number | null;
  bid: number | null;
  ask: number | null;
  spark: number[];
  forecasts?: { next?: SymbolForecast | null; last60?: SymbolForecast | null } | null;
}

export interface SymbolForecast {
  value: number | null;
  lo: number | null;
  hi: number | null;
  gate_open: boolean;
}

export interface FeedStatus {
  name: string;
  state: string;
  detail: string | null;
  healthy: boolean;
  symbols: number;
  age_ms: number | null;
  events: number;
  bad_lines: number;
  reconnects: number;
}

export interface Calendar {
  name: string;
  zone: string;
  offset_s: number;
  day: string | number | null;
  state: string;
  open: number | null;
  close: number | null;
  next_open: number | null;
  phase?: string;
  reason?: string | null; // why the day is closed
  early_close?: boolean;
  last?: { day: number; open: number; close: number } | null; // the newest session that is over
}

export interface Alert {
  rule: string;
  subject: string;
  since: number;
  until: number | null;
  value: number | null;
  bound: number | null;
  message: string;
}

export interface ScheduleStatus {
  enabled: boolean;
  asleep: boolean;
  until: number | null;
  job: string | null;
}

export interface ModelInfo {
  id: string;
  kind: string;
  mode?: string | null;
  inputs?: string | null;
  unit?: string | null;
  kernel?: string | null;
  trained_from?: string | number | null;
  trained_to?: string | number | null;
  trained_rows?: number | null;
  symbols?: string[] | string | null;
  since?: number | null;
}

export interface ModelSwap {
  state: 'none' | 'warming' | 'done' | 'failed';
  model: string | null;
  message: string | null;
  time: number | null;
}

export interface Status {
  version: string;
  mode: 'LIVE' | 'DELAYED' | 'REPLAY' | 'SIMULATED';
  mode_text: string;
  started: number;
  now: number;
  data_time: number | null;
  speed: number | null;
  feeds: FeedStatus[];
  calendar: Calendar | null;
  rates: { bars_per_s: number | null; events_per_s: number | null; forecasts_per_s: number | null };
  queues: { name: string; depth: number; high_water: number }[];
  latency: {
    forecast_p50_ms: number | null;
    forecast_p99_ms: number | null;
    forecast_after_p50_ms: number | null;
    forecast_after_p99_ms: number | null;
    store_p99_ms: number | null;
    sse_p99_ms: number | null;
  };
  counters: Record<string, number | null>;
  lag: { role: string; topic: string; records: number }[];
  models: ModelInfo[];
  model_swap?: ModelSwap;
  schedule?: ScheduleStatus | null;
  alerts?: Alert[];
  posts?: PostSource[];
  clients: number;
  notice: string | null;
}

export interface PostSource {
  source: string;
  state: string;
  healthy: boolean;
  last: number | null;
  posts: number;
  holes: number;
  errors: number;
  note: string | null;
}

export interface Post {
  id: string;
  source: string;
  place: string;
  url: string;
  created: number;
  available: number;
  origin: string;
  compound: number | null;
  pos: number | null;
  neu: number | null;
  neg: number | null;
  mentions: { symbol: string; evidence: string; counted: boolean }[];
  text: string;
}

export interface SecondMarker {
  second: number;
  feed: string;
  expected: number;
  traded: number;
  healthy: boolean;
}

export type Interval = '1s' | '1m' | '1h';
export const INTERVAL_MS: Record<Interval, number> = { '1s': 1000, '1m': 60_000, '1h': 3_600_000 };

export const BASELINES = ['persistence', 'reversal', 'microprice', 'ridge'];

export function toMs(ns: number): number {
  return Math.round(ns / 1e6);
}

/* Name of a model without its hash: `lstm@1a2b3c4d` is shown as `lstm`, the hash stays in the title. */
export function modelName(id: string): string {
  const at = id.indexOf('@');
  return at > 0 ? id.slice(0, at) : id;
}

export function targetName(kind: Kind, horizonMs: number): string {
  if (kind === 'next') return 'Next trade';
  const h = horizonMs >= 60_000 && horizonMs % 60_000 === 0 ? `${horizonMs / 60_000} min` : `${horizonMs / 1000} s`;
  return `${kind === 'last' ? 'Last price' : 'Mid'} in ${h}`;
}

export function targetKey(kind: Kind, horizonMs: number): string {
  return `${kind}-${horizonMs}`;
}
