// Frames of the page with 20,000 seconds on the axis and ten updates a second, and its memory. Writes one JSON line with
// machine, load and date. Needs web/dist and web/node_modules (script/build-page) and Chromium.
//
//   node bench/page.mjs [SECONDS]
//
// Headless Chromium draws in software: a figure of this machine's processor, a lower bound for one with a graphics card.

import { cpus, loadavg } from 'node:os';
import { launch, open, probe, until } from '../tests/e2e/browser.mjs';
import { startFake } from '../tests/e2e/fake-server.mjs';

const seconds = Number(process.argv[2] ?? 10);
const fake = await startFake({ history: 23_000, symbols: 1 });
const browser = await launch();
const { page, faults } = await open(browser, fake.url);
await until(page, 'bars', (p) => p.bars > 1000, 60_000);
await page.focus('#chart');
for (let i = 0; i < 1500 && (await probe(page)).slots < 20_000; i++) await page.keyboard.press('ArrowLeft');
await page.keyboard.press('End');

const symbol = fake.market.syms[0];
const timer = setInterval(() => {
  const bar = symbol.bars.at(-1);
  bar.revision++;
  fake.publish('revision', symbol.name, { ...bar, close: bar.close + Math.random() * 0.02 });
}, 100);

const frames = (ms) =>
  page.evaluate(
    (span) =>
      new Promise((done) => {
        const out = [];
        let last = performance.now();
        const end = last + span;
        const step = () => {
          const now = performance.now();
          out.push(now - last);
          last = now;
          if (now < end) requestAnimationFrame(step);
          else done(out.sort((a, b) => a - b));
        };
        requestAnimationFrame(step);
      }),
    ms,
  );
const client = await page.context().newCDPSession(page);
const heap = async () => {
  await client.send('HeapProfiler.collectGarbage');
  return Number((await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6)).toFixed(1));
};

const before = await heap();
const f = await frames(seconds * 1000);
const at = (q) => Number(f[Math.min(f.length - 1, Math.floor(f.length * q))].toFixed(1));
console.log(
  JSON.stringify({
    what: 'page',
    date: new Date().toISOString(),
    machine: `${cpus().length} x ${cpus()[0]?.model}`,
    load: Number(loadavg()[0].toFixed(2)),
    ...(({ bars, slots }) => ({ bars, slots }))(await probe(page)),
    updates_per_s: 10,
    frames_per_s: Number((f.length / seconds).toFixed(1)),
    frame_ms: { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
    heap_mb: { before, after: await heap() },
    faults: await faults(),
  }),
);
clearInterval(timer);
await browser.close();
await fake.close();
