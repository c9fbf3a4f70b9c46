// A small server that speaks docs/api.md with generated data: the fixture for states of the page that the real
// server reaches rarely (late and revised bars, reset, refusal, thousands of symbols). Not a model of the market.
//
//   node tests/e2e/fake-server.mjs [--port 18800] [--mode SIMULATED] [--symbols 7] [--history 1500]

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = join(dirname(fileURLToPath(import.meta.url)), '../../web/dist');
export const CSP = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.txt': 'text/plain; charset=utf-8' };
const NAMES = ['AAPL', 'AMD', 'AMZN', 'MSFT', 'NVDA', 'SPY', 'TSLA'];
const MODELS = ['lstm@4f1c09aa', 'ridge', 'microprice', 'reversal', 'persistence', 'arima@external'];
const SEC = 1_000_000_000;

function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// ns do not fit a double exactly: written as text from whole seconds, as the real server writes integers.
const ns = (s) => `@@${Math.round(s * 1000)}000000@@`;
const json = (v) => JSON.stringify(v).replace(/"@@(\d+)@@"/g, '$1');
const round = (v, d = 2) => Number(v.toFixed(d));

class Market {
  constructor({ mode, symbols, history, night = null, seed = 7 }) {
    this.mode = mode;
    this.night = night;
    this.alerts = [];
    this.ledger = { quality: { from_day: 20261110, to_day: 20261123, quality: [], reconciled: [], flags: [] }, jobs: [] };
    this.rnd = random(seed);
    this.start = Math.floor(Date.now() / 1000) - history;
    this.log = []; // {type, symbol, text, id}
    this.base = 0;
    this.listeners = new Set();
    this.syms = [];
    for (let i = 0; i < symbols; i++) {
      const price = 20 + this.rnd() * 480;
      this.syms.push({ name: NAMES[i] ?? `S${String(i).padStart(4, '0')}`, price, open: price, volume: 0, bars: [], forecasts: [], outcomes: [], gaps: [], sums: new Map() });
    }
    this.bytes = 0;
    this.now = this.start;
    for (let t = this.start; t < this.start + history; t++) this.second(t, false);
  }

  get nextId() {
    return `b${this.base + this.log.length}.f${this.base + this.log.length}`;
  }

  publish(type, symbol, value) {
    const e = { type, symbol, text: json(value), id: null };
    this.log.push(e);
    e.id = this.nextId;
    if (this.log.length > 40_000) {
      this.log.splice(0, 10_000);
      this.base += 10_000;
    }
    for (const l of this.listeners) l(e);
  }

  bar(s, t) {
    const gauss = () => this.rnd() + this.rnd() + this.rnd() - 1.5;
    const open = s.price;
    s.drift = (s.drift ?? 0) * 0.9 + gauss() * 0.0001;
    s.price = Math.max(1, s.price * (1 + s.drift * 0.4 + gauss() * 0.00016));
    const close = round(s.price);
    const hi = Math.max(open, close) + this.rnd() * s.price * 0.00008;
    const lo = Math.min(open, close) - this.rnd() * s.price * 0.00008;
    const volume = Math.round(100 + this.rnd() ** 3 * 9000);
    s.volume += volume;
    return {
      symbol: s.name, start: ns(t), interval_ms: 1000, available: ns(t + 1), open: round(open), high: round(hi), low: round(lo), close,
      vwap: round((open + close) / 2, 4), volume, trades: 1 + Math.round(this.rnd() * 40), bid: round(close - 0.01), ask: round(close + 0.01),
      bid_size: 300, ask_size: 500, quote_lag_ms: 20, origin: this.mode === 'SIMULATED' ? 'simulated' : 'replay', feed: 'fake', revision: 0, t,
    };
  }

  forecast(s, b) {
    const origin = b.t + 1;
    const ref = b.close;
    const lean = s.drift * ref;
    const sd = ref * 0.00012;
    const point = (kind, h, target) => {
      const w = sd * 0.85 * Math.sqrt(Math.max(1, h / 1000));
      const value = round(ref + lean * 3.6 * (1 - 0.9 ** Math.max(1, h / 1000)), 5);
      return { kind, horizon_ms: h, target, value, lo: round(value - w, 5), hi: round(value + w, 5), p_down: 0.3, p_none: 0.2, p_up: 0.5, gate_open: h < 60_000 };
    };
    const points = [point('next', 0, null), ...[1, 10, 60].map((h) => point('last', h * 1000, ns(origin + h))), ...[1, 10, 60].map((h) => point('mid', h * 1000, ns(origin + h)))];
    return { symbol: s.name, model: MODELS[0], origin_time: ns(origin), issued: ns(origin), inputs: 'T14', kernel: 'reference', reference: ref, reference_mid: ref, flags: [], points, origin };
  }

  second(t, live) {
    this.now = t + 1;
    let traded = 0;
    for (const s of this.syms) {
      if (this.rnd() < 0.12 && this.syms.length < 100) continue;
      traded++;
      const b = this.bar(s, t);
      const last = s.bars[s.bars.length - 1];
      s.bars.push(b);
      if (s.bars.length > 30_000) s.bars.shift();
      if (live) this.publish('bar', s.name, b);
      if (last) this.resolve(s, b, live);
      if (t - this.start < 60 || (this.syms.length >= 100 && s !== this.syms[0])) continue;
      const f = this.forecast(s, b);
      s.forecasts.push(f);
      if (s.forecasts.length > 4000) s.forecasts.shift();
      if (live) this.publish('forecast', s.name, f);
    }
    if (live) this.publish('second', null, { second: ns(t), feed: 'fake', expected: this.syms.length, traded, healthy: true });
    if (live && t % 3 === 0) this.publish('score', null, { symbols: this.syms.slice(0, 50).map((s) => s.name) });
  }

  resolve(s, b, live) {
    const end = b.t + 1;
    for (let i = s.forecasts.length - 1; i >= 0; i--) {
      const f = s.forecasts[i];
      if (f.done || end - f.origin > 130) break;
      if (end < f.origin + 60) continue;
      f.done = true;
      const at = (time) => {
        for (let j = s.bars.length - 1; j >= 0; j--) if (s.bars[j].t + 1 <= time) return s.bars[j].close;
        return null;
      };
      const after = s.bars.find((x) => x.t >= f.origin);
      const values = f.points.map((p) =>
        p.kind === 'next' ? { kind: 'next', horizon_ms: 0, time: ns(after.t + 1), value: after.close } : { kind: p.kind, horizon_ms: p.horizon_ms, time: ns(f.origin + p.horizon_ms / 1000), value: at(f.origin + p.horizon_ms / 1000) },
      );
      const o = { symbol: s.name, origin_time: ns(f.origin), values, origin: f.origin };
      s.outcomes.push(o);
      if (s.outcomes.length > 4000) s.outcomes.shift();
      f.points.forEach((p, k) => this.count(s, f, p, values[k].value));
      if (live) this.publish('outcome', s.name, o);
    }
  }

  count(s, f, p, actual) {
    if (actual === null) return;
    const key = `${p.kind}-${p.horizon_ms}`;
    const c = s.sums.get(key) ?? { kind: p.kind, horizon_ms: p.horizon_ms, n: 0, sq: 0, ab: 0, sp: 0, hits: 0, moves: 0, ties: 0, cov: 0, width: 0 };
    s.sums.set(key, c);
    c.n++;
    c.sq += (p.value - actual) ** 2;
    c.ab += Math.abs(p.value - actual);
    c.sp += (f.reference - actual) ** 2;
    if (actual === f.reference) c.ties++;
    else {
      c.moves++;
      if (Math.sign(actual - f.reference) === Math.sign(p.value - f.reference)) c.hits++;
    }
    if (actual >= p.lo && actual <= p.hi) c.cov++;
    c.width += p.hi - p.lo;
  }

  scores(name) {
    const out = [];
    for (const s of this.syms) {
      if (name && s.name !== name) continue;
      for (const c of s.sums.values()) {
        MODELS.forEach((model, i) => {
          const ratio = i === 4 ? 1 : Math.sqrt(c.sq / c.sp) + i * 0.012;
          const half = 1.2 / Math.sqrt(c.n + 10);
          const share = i === 4 ? null : Math.max(0.4, c.hits / Math.max(1, c.moves) - i * 0.02);
          out.push({
            symbol: s.name, model, kind: c.kind, horizon_ms: c.horizon_ms, inputs: 'T14', n: c.n, n_late: 0, rmse: Math.sqrt(c.sq / c.n) * (1 + i * 0.012), mae: c.ab / c.n,
            rmse_persistence: Math.sqrt(c.sp / c.n), ratio, ratio_lo: ratio - half * 0.2, ratio_hi: ratio + half * 0.2, ratio_reversal: ratio / 1.01, ratio_ridge: ratio / 1.004,
            ratio_microprice: ratio / 1.02, n_microprice: c.n, mae_ratio: ratio, ratio_clean: ratio, n_flagged: 1, r2: 1 - ratio * ratio, dm_t_ridge: i === 1 ? null : -i, beyond: 0.07, n_spread: c.n, brier: i < 2 ? 0.55 : null, brier_base: i < 2 ? 0.63 : null, n_prob: i < 2 ? c.n : 0,
            direction: { hits: c.hits, moves: c.moves, ties: c.ties, share, microprice: 0.85, lo: share && share - half / 2, hi: share && share + half / 2 },
            dm_t: i === 4 ? null : (1 - ratio) * 60, coverage: i === 4 ? null : c.cov / c.n, width: i === 4 ? null : c.width / c.n, winkler: null, gate_open: i > 4 ? false : c.horizon_ms < 60_000, simulated: this.mode === 'SIMULATED',
          });
        });
      }
    }
    return out;
  }

  /* At night (option `night`) nothing comes, and the last session is all there is. */
  calendar(now) {
    const day = { name: 'xnys', zone: 'America/New_York', offset_s: -18000, day: 20261123, phase: 'regular', reason: null, early_close: false, last: null };
    if (this.night) return { ...day, state: 'closed', phase: 'closed', reason: this.night, open: null, close: null, next_open: ns(now + 3 * 3600), last: { day: 20261120, open: ns(this.start), close: ns(this.now) } };
    if (this.mode === 'SIMULATED') return { ...day, name: 'always', state: 'always', phase: 'always', open: null, close: null, next_open: null };
    return { ...day, state: 'open', open: ns(now - 9000), close: ns(now + 9000), next_open: null };
  }

  status() {
    const now = Date.now() / 1000;
    return {
      version: '0.1.0', mode: this.mode, mode_text: this.mode === 'REPLAY' ? 'REPLAY 10x' : this.mode, started: ns(this.start), now: ns(now), data_time: ns(this.now), speed: this.mode === 'REPLAY' ? 10 : null,
      feeds: [{ name: 'fake', state: 'streaming', detail: null, healthy: true, symbols: this.syms.length, age_ms: Math.max(0, (now - this.now) * 1000), events: this.log.length + this.base, bad_lines: 0, reconnects: 0 }],
      calendar: this.calendar(now), schedule: null, alerts: this.alerts,
      rates: { bars_per_s: this.syms.length * 0.9, events_per_s: this.syms.length * 12, forecasts_per_s: this.syms.length * 0.9 },
      queues: [{ name: 'bars', depth: 0, high_water: 12 }, { name: 'forecasts', depth: 1, high_water: 9 }],
      latency: { forecast_p50_ms: 0.08, forecast_p99_ms: 0.41, forecast_after_p50_ms: 1.1, forecast_after_p99_ms: 2.3, store_p99_ms: 4.2, sse_p99_ms: 1.3 },
      counters: { produced: 18233, stored: 18233, inserted: 18230, superseded: 3, duplicate: 0, dead_lettered: 0, late_bars: 4, revised_bars: 3, gaps_today: 0 },
      lag: [{ role: 'store', topic: 'bars', records: 2 }, { role: 'forecast', topic: 'bars', records: 0 }],
      models: [{ id: MODELS[0], kind: 'lstm', mode: 'stateful', inputs: 'T14', kernel: 'reference', trained_from: '2013-10-07', trained_to: '2013-10-08', trained_rows: 44474, symbols: ['SPY', 'BAC'] }, { id: 'ridge', kind: 'ridge', mode: null, inputs: 'T14', kernel: 'reference', trained_from: null, trained_to: null, trained_rows: null, symbols: [] }],
      clients: this.listeners.size, notice: null,
    };
  }
}

function rows(m) {
  return m.syms.map((s) => {
    const b = s.bars[s.bars.length - 1];
    const f = s.forecasts[s.forecasts.length - 1];
    const p = (kind, h) => {
      const x = f?.points.find((q) => q.kind === kind && q.horizon_ms === h);
      return x ? { value: x.value, lo: x.lo, hi: x.hi, gate_open: x.gate_open } : null;
    };
    return { symbol: s.name, feed: 'fake', calendar: m.night && s.name !== 'AAPL' ? 'xnys' : 'always', last: b?.close ?? null, last_time: b ? ns(b.t + 1) : null, change: b ? round(b.close - round(s.open), 2) : null, change_pct: null, volume: s.volume, bid: b?.bid ?? null, ask: b?.ask ?? null, spark: s.bars.slice(-60).map((x) => x.close), forecasts: { next: p('next', 0), last60: p('last', 60_000) } };
  });
}

function aggregate(bars, step) {
  const out = [];
  for (const b of bars) {
    const t = Math.floor(b.t / step) * step;
    const last = out[out.length - 1];
    if (!last || last.t !== t) out.push({ ...b, t, start: ns(t), interval_ms: step * 1000, seconds: 1 });
    else Object.assign(last, { high: Math.max(last.high, b.high), low: Math.min(last.low, b.low), close: b.close, volume: last.volume + b.volume, trades: last.trades + b.trades, seconds: last.seconds + 1, available: b.available });
  }
  return out;
}

export async function startFake(options = {}) {
  const o = { port: 0, mode: 'SIMULATED', symbols: 7, history: 1500, token: null, ...options };
  const m = new Market(o);
  const sockets = new Set();
  const hits = [];
  const resumes = []; // what each stream asked to go on from
  let silenced = 0; // streams opened before this count say nothing any more
  const send = (res, status, value) => {
    const body = json(value);
    res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', 'Content-Security-Policy': CSP });
    res.end(body);
  };
  const find = (q, res) => {
    const s = m.syms.find((x) => x.name === q.get('symbol'));
    if (!s) send(res, 404, { error: { code: 'not_found', message: `no symbol ${q.get('symbol')}` } });
    return s;
  };
  const api = {
    symbols: (q, res) => send(res, 200, { symbols: rows(m) }),
    status: (q, res) => send(res, 200, m.status()),
    scores: (q, res) => send(res, 200, { span: q.get('span') ?? 'session', scores: m.scores(q.get('symbol')) }),
    bars: (q, res) => {
      const s = find(q, res);
      if (!s) return;
      const step = { '1s': 1, '1m': 60, '1h': 3600 }[q.get('interval') ?? '1s'];
      const to = q.get('to') ? Number(q.get('to')) / SEC : Infinity;
      const from = q.get('from') ? Number(q.get('from')) / SEC : -Infinity;
      const all = aggregate(s.bars, step).filter((b) => b.t < to && b.t >= from);
      const limit = Number(q.get('limit') ?? 1000);
      send(res, 200, { symbol: s.name, interval: q.get('interval'), bars: all.slice(-limit), gaps: s.gaps, more: all.length > limit });
    },
    forecasts: (q, res) => {
      const s = find(q, res);
      if (!s) return;
      const limit = Number(q.get('limit') ?? 500);
      const [from, to] = [Number(q.get('from') ?? 0) / SEC, Number(q.get('to') ?? Infinity) / SEC];
      const asked = (list, of) => list.filter((x) => of(x) >= from && of(x) < to).slice(-limit);
      send(res, 200, { symbol: s.name, forecasts: asked(s.forecasts, (f) => f.origin), outcomes: asked(s.outcomes, (x) => x.origin) });
    },
    quality: (q, res) => send(res, 200, m.ledger.quality),
    jobs: (q, res) => send(res, 200, { jobs: m.ledger.jobs }),
    alerts: (q, res) => send(res, 200, { alerts: m.alerts }),
    posts: (q, res) => send(res, 200, { symbol: q.get('symbol'), posts: (o.posts ?? []).filter((p) => !q.get('symbol') || p.mentions.some((x) => x.symbol === q.get('symbol'))) }),
    sentiment: (q, res) => send(res, 200, { symbol: q.get('symbol'), minutes: o.minutes?.(m) ?? [] }),
    stream: (q, res, req) => stream(q, res, req),
  };
  function stream(q, res, req) {
    const only = q.get('symbols')?.split(',') ?? null;
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'Content-Security-Policy': CSP });
    const write = (e) => {
      if (mine >= silenced && (!only || !e.symbol || only.includes(e.symbol))) res.write(`id: ${e.id}\nevent: ${e.type}\ndata: ${e.text}\n\n`);
    };
    const mine = resumes.length;
    resumes.push(req.headers['last-event-id'] ?? null);
    const last = req.headers['last-event-id'] ?? q.get('last_event_id');
    res.write(`event: hello\nid: ${last ?? m.nextId}\ndata: ${json(m.status())}\n\n`);
    if (last) {
      const at = Number(/^b(\d+)/.exec(last)?.[1] ?? NaN) - m.base;
      if (!(at >= 0 && at <= m.log.length)) res.write(`event: reset\nid: ${m.nextId}\ndata: {}\n\n`);
      else for (const e of m.log.slice(at)) write(e);
    }
    m.listeners.add(write);
    const timer = setInterval(() => mine >= silenced && res.write(`event: status\nid: ${m.nextId}\ndata: ${json(m.status())}\n\n`), 1000);
    res.on('close', () => {
      clearInterval(timer);
      m.listeners.delete(write);
    });
  }
  async function file(path, res) {
    try {
      const body = await readFile(join(DIST, path));
      res.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store' });
      res.end(body);
    } catch {
      res.writeHead(404).end();
    }
  }
  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://x');
    hits.push(url.pathname + url.search);
    if (hits.length > 5000) hits.splice(0, 1000);
    if (o.token && url.searchParams.get('token') === o.token) {
      res.writeHead(303, { Location: '/', 'Set-Cookie': `tickcast_token=${o.token}; Path=/; HttpOnly; SameSite=Strict` });
      return res.end();
    }
    if (url.pathname.startsWith('/api/v1/')) {
      if (o.token && req.headers.cookie !== `tickcast_token=${o.token}`) return send(res, 401, { error: { code: 'unauthorized', message: 'a token is needed' } });
      const fn = api[url.pathname.slice(8)];
      return fn ? fn(url.searchParams, res, req) : send(res, 404, { error: { code: 'not_found', message: 'no such path' } });
    }
    void file(url.pathname === '/' ? 'index.html' : normalize(url.pathname).replace(/^(\.\.[/\\])+/, ''), res);
  });
  server.on('connection', (s) => {
    sockets.add(s);
    s.on('close', () => sockets.delete(s));
  });
  let beat = null;
  const listen = (port) =>
    new Promise((ok, fail) => {
      server.once('error', fail);
      server.listen(port, '127.0.0.1', ok);
    });
  await listen(o.port);
  const port = server.address().port;
  const run = () => {
    beat = setInterval(() => {
      while (!m.night && m.now < Math.floor(Date.now() / 1000)) m.second(m.now, true);
    }, 100);
  };
  run();
  const cut = async () => {
    const closed = new Promise((ok) => server.close(ok));
    for (const s of sockets) s.destroy();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${port}/`,
    market: m,
    hits,
    resumes,
    silence: () => (silenced = resumes.length),
    publish: (type, symbol, value) => m.publish(type, symbol, value),
    ns,
    freeze: () => clearInterval(beat),
    down: cut,
    up: () => listen(port),
    dropLog: () => {
      m.base += m.log.length + 1_000_000;
      m.log = [];
    },
    close: async () => {
      clearInterval(beat);
      await cut();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const arg = (name, fallback) => {
    const i = process.argv.indexOf(`--${name}`);
    return i > 0 ? process.argv[i + 1] : fallback;
  };
  const fake = await startFake({ port: Number(arg('port', 18800)), mode: arg('mode', 'SIMULATED'), symbols: Number(arg('symbols', 7)), history: Number(arg('history', 1500)), night: arg('night', null) });
  console.log(`fake server at ${fake.url}`);
}
