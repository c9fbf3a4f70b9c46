// The page's own modules without a browser: stream parser, bars in any order, addresses, numbers, rolling figures.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, describe, test } from 'node:test';

const root = new URL('../../web/', import.meta.url);
const missing = existsSync(new URL('node_modules', root)) ? false : 'web/node_modules is missing: npm ci in web/';

describe('modules of the page', { skip: missing }, () => {
  let m;
  before(async () => {
    const { build } = createRequire(new URL('package.json', root))('esbuild');
    const names = ['sse', 'bars', 'link', 'format', 'book', 'exporting', 'skill'];
    const out = await build({
      stdin: { contents: names.map((n) => `export * as ${n} from './src/${n}';`).join('\n'), resolveDir: root.pathname },
      bundle: true,
      format: 'esm',
      write: false,
      logLevel: 'error',
    });
    m = await import(`data:text/javascript;base64,${Buffer.from(out.outputFiles[0].text).toString('base64')}`);
  });

  test('the sources keep to strict TypeScript', () => {
    const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit'], { cwd: root, encoding: 'utf8' });
    assert.equal(tsc.stdout, '');
    assert.equal(tsc.status, 0);
  });

  test('the stream parser gives the same events however the text is cut', () => {
    const text = ': hello\r\n\r\nid: b1.f2\r\nevent: bar\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: x\n\nevent: empty\n\nid: b3.f4\nevent: bar\ndata: y\n\n';
    const want = [
      { type: 'bar', data: '{"a":\n1}', id: 'b1.f2' },
      { type: 'message', data: 'x', id: 'b1.f2' },
      { type: 'bar', data: 'y', id: 'b3.f4' },
    ];
    for (const size of [1, 2, 3, 7, text.length]) {
      const got = [];
      const p = new m.sse.SseParser((e) => got.push(e));
      for (let i = 0; i < text.length; i += size) p.feed(text.slice(i, i + size));
      assert.deepEqual(got, want, `pieces of ${size}`);
    }
  });

  test('the stream parser refuses what never ends', () => {
    const p = new m.sse.SseParser(() => {}, 1000);
    assert.throws(() => p.feed('data: '.padEnd(2000, 'x')), /too long/);
  });

  const candle = (t, more = {}) => ({ t, open: 1, high: 2, low: 0.5, close: 1.5, volume: 10, trades: 1, revision: 0, origin: 'live', availableMs: t * 1000, late: false, ...more });

  test('bars end up rising, one a start, newest version, in whatever order they come', () => {
    const all = [];
    for (let t = 100; t < 160; t++) if (t % 7) all.push(candle(t));
    const revised = candle(120, { revision: 2, close: 9 });
    const stale = candle(120, { revision: 1, close: 5 });
    const want = new m.bars.Bars(1, 5);
    for (const c of [...all, revised]) want.put(c);
    for (let seed = 1; seed < 30; seed++) {
      const mixed = [...all, revised, stale, all[3]].map((c, i) => [Math.sin(seed * 1000 + i * 37), c]).sort((a, b) => a[0] - b[0]).map((x) => x[1]);
      const b = new m.bars.Bars(1, 5);
      for (const c of mixed) b.put(c);
      b.rebuildAxis();
      want.rebuildAxis();
      assert.deepEqual(b.list.map((c) => [c.t, c.close, c.revision]), want.list.map((c) => [c.t, c.close, c.revision]));
      assert.deepEqual(b.axis, want.axis);
    }
    assert.equal(want.at(120).close, 9);
  });

  test('a second without a trade keeps its slot, a night does not, and targets lie right of the last bar', () => {
    const b = new m.bars.Bars(1, 3, 900);
    b.putAll([candle(10), candle(14), candle(50_000)]);
    assert.deepEqual(b.axis, [10, 11, 12, 13, 14, 50_000, 50_001, 50_002, 50_003]);
    assert.equal(b.logical(12), 2);
    assert.equal(b.logical(50_000), 5);
    assert.equal(b.logical(50_010), 15);
    assert.equal(b.at(12), null);
    assert.equal(b.put(candle(12)), 'middle');
    assert.equal(b.at(12).late, true);
    assert.equal(b.put(candle(NaN)), 'none');
    assert.equal(b.put(candle(15, { close: NaN })), 'none');
  });

  test('addresses survive a round trip and nonsense falls back', () => {
    const l = m.link.parseLink('#s=coinbase:BTC-USD&i=1m&r=240&theme=light&m=lstm%4012');
    assert.deepEqual(l, { symbol: 'coinbase:BTC-USD', interval: '1m', range: 240, theme: 'light', model: 'lstm@12' });
    assert.deepEqual(m.link.parseLink(m.link.formatLink(l)), l);
    assert.deepEqual(m.link.parseLink(`#s=${'x'.repeat(99)}&i=9&r=-1&theme=pink`), { symbol: null, interval: '1s', range: null, theme: null, model: null });
  });

  test('numbers and times read as people write them', () => {
    const f = m.format;
    assert.equal(f.num(-1234.5, 2), '−1,234.50');
    assert.equal(f.num(null, 2), '–');
    assert.equal(f.signed(-0.001, 2), '0.00');
    assert.equal(f.signed(0.5, 1), '+0.5');
    assert.equal(f.age(300), '0.3 s');
    assert.equal(f.age(200_000), '3 min');
    assert.equal(f.countdown(3_725_000), '1:02:05');
    assert.equal(f.decimalsOf(168.86), 2);
    assert.equal(f.decimalsOf(0.00001234), 8);
    const ny = new f.Zone('America/New_York', 0);
    assert.equal(ny.name, 'New York');
    assert.equal(ny.time(Date.UTC(2013, 9, 7, 13, 30, 5)), '09:30:05');
    assert.equal(ny.time(Date.UTC(2013, 10, 4, 14, 30)), '09:30:00'); // the day after clocks went back
    assert.equal(new f.Zone('No/Such', -18000).time(Date.UTC(2013, 0, 1, 12)), '07:00:00');
  });

  test('rolling figures equal those computed from the definition', () => {
    const b = new m.book.Book('X');
    const at = (i) => 1_700_000_000_000_000_000 + i * 1_000_000_000;
    for (let i = 0; i < 400; i++) {
      const ref = 100 + Math.sin(i);
      b.addForecast({ symbol: 'X', model: 'm', origin_time: at(i), issued: at(i), flags: i === 7 ? ['late'] : [], reference: ref, reference_mid: null, points: [{ kind: 'last', horizon_ms: 1000, target: at(i + 1), value: ref + 0.1 * Math.cos(i * 3), lo: ref - 0.5, hi: ref + 0.5, gate_open: true }] });
      if (i !== 9) b.addOutcome({ symbol: 'X', origin_time: at(i), values: [{ kind: 'last', horizon_ms: 1000, time: at(i + 1), value: 100 + Math.sin(i + 1) }] });
    }
    const pairs = b.pairs('m', 'last', 1000, 1000);
    const r = m.book.rolling(pairs, 200);
    assert.equal(r.t.length, 398, 'neither the late one nor the one without an outcome counts');
    const last = pairs.filter((p) => p.actual !== null && !p.late).slice(-200);
    const rms = (f) => Math.sqrt(last.reduce((a, p) => a + f(p) ** 2, 0));
    assert.ok(Math.abs(r.ratio.at(-1) - rms((p) => p.value - p.actual) / rms((p) => p.reference - p.actual)) < 1e-9);
    assert.ok(Math.abs(r.coverage.at(-1) - last.filter((p) => p.actual >= p.lo && p.actual <= p.hi).length / 200) < 1e-12);
    assert.equal(r.ratio[10], null, 'too few to say');
  });

  test('the sentence tells skill, its absence and its lack of proof alike', () => {
    const s = (more) => ({ kind: 'next', horizon_ms: 0, n: 1000, ratio: 0.9, ratio_lo: 0.88, ratio_hi: 0.92, coverage: 0.9, gate_open: true, ...more });
    assert.match(m.skill.sentence(s({}), 'session'), /^Next trade: error 10\.0.% below “no change”, n = 1,000 this session, band held 90.%\.$/);
    assert.match(m.skill.sentence(s({ ratio: 1.1, ratio_lo: 1.05, ratio_hi: 1.2, gate_open: false }), 'all'), /10\.0.% above.*gate is shut/);
    assert.match(m.skill.sentence(s({ ratio_hi: 1.01 }), 'hour'), /too close to call/);
    assert.match(m.skill.sentence(null, 'hour'), /Nothing scored yet/);
  });

  test('a table as CSV quotes what needs it and starts no formula', async () => {
    const text = await m.exporting.toCsv({ head: ['a', 'b'], rows: [['x,"y"', 1.5], ['=1+1', null]] }).text();
    assert.equal(text, 'a,b\r\n"x,""y""",1.5\r\n\'=1+1,\r\n');
  });
});
