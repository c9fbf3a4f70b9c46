// The page on the real program: `tickcast run` with the simulated market, killed and started again under it.
// TICKCAST_BIN names the program (default build/tickcast); TICKCAST_SHOTS a folder for screenshots.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { CHROMIUM, launch, open, probe, until } from './browser.mjs';

const BIN = process.env.TICKCAST_BIN ?? fileURLToPath(new URL('../../build/tickcast', import.meta.url));
const missing = !CHROMIUM ? 'Chromium is not installed' : !existsSync(BIN) ? `${BIN} is not built` : false;
const shots = process.env.TICKCAST_SHOTS;

const freePort = () =>
  new Promise((ok, fail) => {
    const s = createServer();
    s.once('error', fail);
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => ok(port));
    });
  });

class Program {
  constructor(port, data) {
    this.port = port;
    this.data = data;
    this.url = `http://127.0.0.1:${port}/`;
    this.log = '';
  }
  async start() {
    this.child = spawn(BIN, ['run', '--listen', `127.0.0.1:${this.port}`, '--data', this.data], { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (d) => (this.log = (this.log + d).slice(-8000));
    this.child.stdout.on('data', keep);
    this.child.stderr.on('data', keep);
    this.gone = new Promise((ok) => this.child.once('exit', ok));
    for (let i = 0; i < 200; i++) {
      if (this.child.exitCode !== null) break;
      const ok = await fetch(`${this.url}healthz`).then((r) => r.ok, () => false);
      if (ok) return this.settled();
      await new Promise((next) => setTimeout(next, 50));
    }
    throw new Error(`the program did not answer:\n${this.log}`);
  }
  /* The history of the simulated market is made, forecast and stored. */
  async settled() {
    const end = Date.now() + 120_000;
    while (Date.now() < end) {
      const s = await this.json('api/v1/status');
      if (s.data_time && s.now - s.data_time < 5e9 && s.lag.every((l) => l.records < 100)) return;
      await new Promise((next) => setTimeout(next, 200));
    }
    throw new Error(`the history was not there after two minutes:\n${this.log}`);
  }
  async stop(signal) {
    this.child.kill(signal);
    await this.gone;
  }
  json(path) {
    return fetch(this.url + path).then((r) => r.json());
  }
}

describe('the page on the real program', { skip: missing }, () => {
  let browser, program, folder;
  before(async () => {
    browser = await launch();
    folder = await mkdtemp(join(tmpdir(), 'tickcast-e2e-'));
    if (shots) await mkdir(shots, { recursive: true });
    program = new Program(await freePort(), join(folder, 'data'));
    await program.start();
  });
  after(async () => {
    await program?.stop('SIGTERM').catch(() => {});
    await browser?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const view = async (options, hash, fn) => {
    const v = await open(browser, program.url + hash, options);
    try {
      await fn(v.page);
      assert.deepEqual(await v.faults(), [], 'no console error, no foreign request, no breach of the content policy');
    } finally {
      await v.close();
    }
  };
  const shot = (page, name) => (shots ? page.screenshot({ path: join(shots, `${name}.png`) }) : null);

  test('bars move, a forecast lies ahead of the last bar, the score counts up', () =>
    view({}, '#theme=dark', async (page) => {
      const first = await until(page, 'bars, a forecast, a score', (p) => p.bars > 60 && p.aheadTargets.length >= 2 && p.n > 0, 60_000);
      assert.equal(first.mode, 'SIMULATED');
      const later = await until(page, 'a new bar and a larger n', (p) => p.lastStart > first.lastStart && p.n > first.n, 60_000);
      assert.ok(later.aheadTargets.at(-1) > later.lastStart + 30);
      assert.match(await page.textContent('#mode'), /SIMULATED/);
      await page.waitForTimeout(1500);
      await shot(page, 'desk-dark');
    }));

  test('another symbol, other intervals, both themes', () =>
    view({}, '#theme=dark', async (page) => {
      const first = await until(page, 'bars', (p) => p.bars > 60, 30_000);
      await page.keyboard.press('k');
      await until(page, 'another symbol', (p) => p.symbol !== first.symbol && p.bars > 30);
      for (const [key, ms] of [['2', 60_000], ['3', 3_600_000], ['1', 1000]]) {
        await page.keyboard.press(key);
        await until(page, `bars of ${ms} ms`, (p) => p.intervalMs === ms && p.bars > 0);
      }
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const dark = await ground();
      await page.keyboard.press('t');
      assert.notEqual(await ground(), dark);
      await page.waitForTimeout(1500);
      await shot(page, 'desk-light');
    }));

  test('the program is killed and started again: the page says so, comes back and has every bar once', () =>
    view({}, '', async (page) => {
      const before = await until(page, 'bars', (p) => p.bars > 60 && p.conn === 'live', 30_000);
      await program.stop('SIGKILL');
      await until(page, 'the loss', (p) => p.conn === 'lost');
      await page.waitForFunction(() => /connection lost/.test(document.querySelector('#conn-text').textContent));
      await program.start();
      await until(page, 'the return', (p) => p.conn === 'live', 15_000);
      const p = await until(page, 'newer bars', (x) => x.lastStart > before.lastStart + 3, 30_000);
      await page.waitForTimeout(500);
      const drawn = await page.evaluate(() => window.tickcast.starts());
      const from = drawn[0];
      const { bars } = await program.json(`api/v1/bars?symbol=${p.symbol}&limit=11000&from=${from}000000000`);
      const stored = bars.map((b) => Math.round(b.start / 1e9)).filter((t) => t <= drawn.at(-1));
      assert.deepEqual(drawn, stored);
    }));

  test('a phone shows each panel within its width', () =>
    view({ width: 360, height: 740, hasTouch: true, deviceScaleFactor: 2 }, '', async (page) => {
      await until(page, 'bars', (p) => p.bars > 60, 30_000);
      for (const tab of ['watch', 'chart', 'skill', 'health']) {
        await page.click(`#tabs [data-tab=${tab}]`);
        await page.waitForTimeout(700);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
        await shot(page, `phone-${tab}`);
      }
      assert.ok((await probe(page)).bars > 60);
    }));
});
