// The page in a real browser, against the fixture server: every state that a person may meet.
// Needs web/dist (npm ci && npm run build in web/) and Chromium; says so and skips where one is missing.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { CHROMIUM, axeSource, launch, open, probe, until } from './browser.mjs';
import { startFake } from './fake-server.mjs';

const dist = new URL('../../web/dist/index.html', import.meta.url);
const missing = !CHROMIUM ? 'Chromium is not installed' : !existsSync(dist) ? 'web/dist is missing: npm ci && npm run build in web/' : false;

describe('the page', { skip: missing }, () => {
  let browser;
  before(async () => (browser = await launch()));
  after(async () => browser?.close());

  const session = async (fakeOptions, openOptions, fn, hash = '') => {
    const fake = await startFake({ history: 400, ...fakeOptions });
    const view = await open(browser, fake.url + (openOptions.query ?? '') + hash, openOptions);
    try {
      await fn({ fake, ...view });
      assert.deepEqual(await view.faults(), [], 'no console error, no foreign request, no breach of the content policy');
    } finally {
      await view.close();
      await fake.close();
    }
  };

  test('bars move, the forecast lies ahead of the last bar, and n grows', () =>
    session({}, {}, async ({ page }) => {
      const first = await until(page, 'bars, a forecast and a score', (p) => p.bars > 100 && p.aheadTargets.length === 3 && p.n > 0);
      assert.equal(first.mode, 'SIMULATED');
      const next = await until(page, 'a new bar and a larger n', (p) => p.lastStart > first.lastStart && p.n > first.n);
      assert.ok(next.aheadTargets.every((t) => t > next.lastStart), 'every target is after the start of the last bar');
      assert.ok(next.aheadTargets.at(-1) >= next.lastStart + 58, 'the farthest target is a minute ahead');
      assert.match(await page.textContent('#skill-sentence'), /no change”.*n = [\d,]+/);
      assert.match(await page.textContent('#mode'), /SIMULATED/);
      assert.match(await page.textContent('#notice'), /--feed coinbase/);
      await page.waitForFunction(() => /Last [\d.,]+.*Forecast in 1 s/.test(document.querySelector('#chart').getAttribute('aria-label')));
    }));

  test('at night the page says why, counts down, plays the last session again and comes back', () =>
    session({ mode: 'LIVE', night: 'Thanksgiving Day', history: 900 }, {}, async ({ page, fake }) => {
      const all = await until(page, 'the last session', (p) => p.bars > 400);
      assert.match(await page.textContent('#night'), /XNYS is closed \(Thanksgiving Day\)\. It opens on \w+ at \d\d:\d\d New York, in \d:\d\d:\d\d\. Shown is the session of/);
      assert.match(await page.textContent('#session'), /XNYS closed, opens in \d:\d\d:\d\d/);
      assert.match(await page.textContent('#night'), /Crypto now|coinbase/);
      await page.click('#night >> text=Replay that session');
      const first = await until(page, 'the session from its begin', (p) => p.mode === 'REPLAY' && p.bars > 0 && p.bars < all.bars - 300);
      assert.match(await page.textContent('#mode'), /REPLAY 10x/);
      assert.match(await page.textContent('#session'), /XNYS open/);
      assert.match(await page.textContent('#night'), /Playing the session of .* again: not now/);
      assert.ok(first.lastStart < all.lastStart - 300, 'nothing that came later is drawn');
      await page.click('#night >> text=300×');
      const moved = await until(page, 'bars and forecasts play', (p) => p.bars > first.bars + 100 && p.aheadTargets.length === 3);
      assert.ok(moved.aheadTargets[0] > moved.lastStart);
      await page.waitForFunction(() => /is over/.test(document.querySelector('#night').textContent));
      const end = await probe(page);
      assert.equal(end.lastStart, all.lastStart);
      await page.click('#night >> text=Stop');
      await until(page, 'now again', (p) => p.mode === 'LIVE' && p.bars >= all.bars);
      assert.match(await page.textContent('#night'), /XNYS is closed/);
    }));

  test('a standing alert stands under the top, and the quality report holds what was written down', () =>
    session({}, {}, async ({ page, fake }) => {
      await until(page, 'bars', (p) => p.bars > 100);
      assert.ok(await page.isHidden('#alerts'));
      fake.market.alerts.push({ rule: 'price SPY > 700', subject: 'SPY', since: fake.ns(Date.now() / 1000 - 90), until: null, value: 701, bound: 700, message: 'SPY is at 701 <b>, above 700' });
      fake.market.ledger.quality.quality.push({ symbol: 'SPY', day: 20261120, traded: 23000, no_trade: 390, unknown: 10, duplicates: 1, late: 2, revised: 3, backfilled: 4, gaps: 5 });
      fake.market.ledger.quality.flags.push({ symbol: 'NVDA', day: 20261120, kind: 'split', value: 10, message: 'NVDA opened at 12 after 120', written: fake.ns(1e9) });
      fake.market.ledger.jobs.push({ name: 'retention', day: 20261120, started: fake.ns(1e9), finished: fake.ns(1e9 + 2), result: 'done', message: '7 rows deleted' });
      await page.waitForFunction(() => /Alert: SPY is at 701 <b>, above 700, for \d+ (s|min)/.test(document.querySelector('#alerts').textContent));
      await page.keyboard.press('q');
      await page.waitForFunction(() => /23,000/.test(document.querySelector('#dialog').textContent));
      const text = await page.textContent('#dialog');
      for (const words of ['Seconds of the sessions', 'NVDA opened at 12 after 120', 'price SPY > 700', '7 rows deleted', 'No comparison has been made']) assert.ok(text.includes(words), words);
      fake.market.alerts.length = 0;
      await page.waitForFunction(() => document.querySelector('#alerts').hidden);
    }));

  test('late, revised and repeated bars at any time leave no fault and the newest version', () =>
    session({}, {}, async ({ page, fake }) => {
      await until(page, 'bars', (p) => p.bars > 100);
      const spy = fake.market.syms.find((s) => s.name === 'SPY');
      const old = spy.bars.at(-40);
      const wire = (t, more) => ({ ...old, t, start: fake.ns(t), available: fake.ns(t + 3), ...more });
      fake.publish('revision', 'SPY', wire(old.t, { revision: 1, close: old.close + 0.05, high: old.high + 0.1 }));
      fake.publish('revision', 'SPY', wire(old.t, { revision: 0, close: 1 })); // an older version that comes last
      const have = new Set(spy.bars.map((b) => b.t));
      let hole = old.t;
      while (have.has(hole)) hole--;
      fake.publish('bar', 'SPY', wire(hole, { revision: 0 })); // into a second that had no trade
      fake.publish('bar', 'SPY', wire(spy.bars[0].t - 5000, { revision: 0 })); // far before everything drawn
      fake.publish('bar', 'SPY', wire(old.t, { revision: 2, close: null })); // unusable: ignored
      for (let i = 0; i < 30; i++) fake.publish('revision', 'SPY', wire(spy.bars.at(-2 - i).t, { revision: 1 }));
      fake.publish('gap', 'SPY', { symbol: 'SPY', feed: 'fake', start: fake.ns(old.t - 60), end: fake.ns(old.t - 30), reason: 'disconnected', filled: false });
      const p = await until(page, 'late and revised bars drawn', (x) => x.late >= 1 && x.revised >= 31);
      assert.ok(p.late <= 2);
      await until(page, 'bars still move', (x) => x.lastStart > p.lastStart);
    }));

  test('symbol, interval and theme change by keyboard, and the address holds them', () =>
    session({}, {}, async ({ page }) => {
      await until(page, 'SPY', (p) => p.symbol === 'SPY' && p.bars > 100);
      await page.keyboard.press('j');
      await until(page, 'the next symbol', (p) => p.symbol === 'TSLA' && p.bars > 100);
      await page.keyboard.press('/');
      await page.keyboard.type('nvd');
      await page.keyboard.press('Enter');
      await until(page, 'the searched symbol', (p) => p.symbol === 'NVDA' && p.bars > 100);
      await page.keyboard.press('2');
      const minutes = await until(page, 'minutes', (p) => p.intervalMs === 60_000 && p.bars > 3);
      await until(page, 'the running minute', (p) => p.bars >= minutes.bars);
      const theme = await page.evaluate(() => document.documentElement.dataset.theme);
      await page.keyboard.press('t');
      assert.notEqual(await page.evaluate(() => document.documentElement.dataset.theme), theme);
      await page.waitForFunction(() => location.hash.includes('s=NVDA') && location.hash.includes('i=1m'));
      await page.keyboard.press('?');
      await page.waitForSelector('dialog[open]');
      assert.match(await page.textContent('#dialog-body'), /search a symbol/);
      await page.keyboard.press('Escape');
      await page.waitForSelector('dialog:not([open])', { state: 'attached' });
      await page.keyboard.press('s');
      await page.waitForSelector('dialog[open] .skill-table');
      await page.keyboard.press('Escape');
      await page.focus('#chart');
      for (const key of ['ArrowLeft', '+', '-', 'End']) await page.keyboard.press(key);
      // Every control can be reached by Tab and shows that it has the focus.
      const seen = new Set();
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        seen.add(await page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim()));
      }
      for (const id of ['clock', 'theme-button', 'help-button', 'search', 'watch-scroll', 'chart', 'target', 'skill-table']) assert.ok(seen.has(id), `Tab reaches ${id}`);
    }));

  test('the leaderboard ranks every model on each target, says who made it and why its gate is shut', () =>
    session({}, {}, async ({ page }) => {
      await until(page, 'bars', (p) => p.bars > 100 && p.n > 0);
      assert.match(await page.textContent('#skill-sentence'), /^Next trade: error .* “no change”.*, n = [\d,]+ this session.*\.$/);
      await page.keyboard.press('s');
      await page.waitForSelector('dialog[open] .board');
      const read = () => page.evaluate(() => [...document.querySelectorAll('.board tbody tr')].map((r) => ({ place: r.cells[0].textContent, model: r.cells[1].textContent, ratio: Number.parseFloat(r.cells[3].firstChild.textContent) })));
      const rows = await read();
      assert.ok(rows.every((r, i) => i === 0 || r.ratio >= rows[i - 1].ratio), 'best first');
      assert.ok(rows.some((r) => /^arima.*external/.test(r.model)), 'models of others stand in it');
      assert.ok(rows.some((r) => /^persistence.*simple rule/.test(r.model)));
      assert.match(await page.textContent('.gates'), /arima: Shut: (\d+ of the 300 forecasts|t is|good over)/);
      assert.match(await page.textContent('.cards'), /lstm@4f1c09aa[^]*2013-10-07 to 2013-10-08/);
      await page.focus('.board-tabs [aria-selected="true"]');
      await page.keyboard.press('ArrowRight');
      assert.equal(await page.getAttribute('#board-tab-1', 'aria-selected'), 'true');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'board-tab-1');
      await page.focus('.reading summary');
      await page.keyboard.press('Enter');
      assert.match(await page.textContent('.reading'), /bounce[^]*None of this is investment advice/);
      await page.setViewportSize({ width: 360, height: 740 });
      assert.ok(await page.evaluate(() => document.querySelector('#dialog-body').scrollWidth <= document.querySelector('#dialog-body').clientWidth), 'only tables scroll sideways');
    }));

  test('a deep link opens symbol, interval and theme', () =>
    session({}, {}, async ({ page }) => {
      const p = await until(page, 'the symbol of the address', (x) => x.symbol === 'AMD' && x.bars > 3);
      assert.equal(p.interval, '1m');
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
    }, '#s=AMD&i=1m&theme=light'));

  test('a server that dies is said, and after its return nothing is missing or double', () =>
    session({}, {}, async ({ page, fake }) => {
      const before = await until(page, 'bars', (p) => p.bars > 100 && p.conn === 'live');
      await fake.down();
      await until(page, 'the loss', (p) => p.conn === 'lost');
      await page.waitForFunction(() => /connection lost .* ago/.test(document.querySelector('#conn-text').textContent));
      await page.waitForFunction(() => document.querySelectorAll('.panel.stale').length >= 4, null, { timeout: 8000 });
      await fake.up();
      const up = Date.now();
      await until(page, 'the return', (p) => p.conn === 'live', 8000);
      assert.ok(Date.now() - up < 6000);
      const p = await until(page, 'the bars that came meanwhile', (x) => x.lastStart > before.lastStart + 2);
      await page.waitForTimeout(300);
      const spy = fake.market.syms.find((s) => s.name === 'SPY');
      const now = await probe(page);
      const server = spy.bars.filter((b) => b.t <= now.lastStart).length;
      assert.equal(now.bars, server, 'as many bars as the server has');
      assert.ok(p.bars > before.bars);
      assert.equal(fake.resumes[0], null);
      assert.match(fake.resumes.at(-1), /^b\d+\.f\d+$/, 'it goes on from the last event');
    }));

  test('a line that falls silent is given up and taken up again where it was', () =>
    session({}, {}, async ({ page, fake }) => {
      const before = await until(page, 'bars', (p) => p.bars > 100 && p.conn === 'live');
      fake.silence();
      await until(page, 'the loss', (p) => p.conn === 'lost' || p.conn === 'catching-up', 12_000);
      const p = await until(page, 'the bars of the silence', (x) => x.conn === 'live' && x.lastStart > before.lastStart + 6, 20_000);
      const spy = fake.market.syms.find((s) => s.name === 'SPY');
      assert.equal(p.bars, spy.bars.filter((b) => b.t <= p.lastStart).length);
    }));

  test('a reset makes the page fetch the range anew', () =>
    session({}, {}, async ({ page, fake }) => {
      const before = await until(page, 'bars', (p) => p.bars > 100);
      const asked = () => fake.hits.filter((h) => h.startsWith('/api/v1/bars')).length;
      const n = asked();
      await fake.down();
      fake.dropLog();
      await fake.up();
      await until(page, 'the return', (p) => p.conn === 'live' && p.lastStart > before.lastStart + 1, 10_000);
      assert.ok(asked() > n, 'bars were asked for again');
    }));

  test('old data turns grey with its age in words, and a frozen feed is not shown as new', () =>
    session({}, {}, async ({ page, fake }) => {
      await until(page, 'bars', (p) => p.bars > 100);
      fake.freeze();
      await page.waitForFunction(() => /stale, \d+ s old/.test(document.querySelector('#chart-panel [data-age]').textContent), null, { timeout: 20_000 });
      assert.ok(await page.evaluate(() => document.querySelector('#chart-panel').classList.contains('stale')));
      assert.ok(await page.evaluate(() => !document.querySelector('#health-panel').classList.contains('stale')), 'the server itself still speaks');
    }));

  test('without permission it says what to do', () =>
    session({ token: 'secret' }, {}, async ({ page }) => {
      await page.waitForFunction(() => /Not allowed/.test(document.querySelector('#chart-state').textContent));
      assert.match(await page.textContent('#conn-text'), /token/);
    }));

  test('the token of the address lets in', () =>
    session({ token: 'secret' }, { query: '?token=secret' }, async ({ page }) => {
      await until(page, 'bars', (p) => p.bars > 100 && p.conn === 'live');
    }));

  test('a replay is marked in words and colour', () =>
    session({ mode: 'REPLAY' }, {}, async ({ page }) => {
      await until(page, 'bars', (p) => p.bars > 100);
      assert.match(await page.textContent('#mode'), /REPLAY 10x/);
      assert.match(await page.evaluate(() => getComputedStyle(document.querySelector('#mark'), '::before').content), /REPLAY|attr\(data-mode\)/);
      assert.equal(await page.getAttribute('#mark', 'data-mode'), 'REPLAY');
      assert.equal(await page.isHidden('#notice'), true);
      const colour = await page.evaluate(() => getComputedStyle(document.querySelector('#top')).backgroundColor);
      assert.notEqual(colour, await page.evaluate(() => getComputedStyle(document.querySelector('#watch-panel')).backgroundColor));
    }));

  test('two thousand symbols: only visible rows exist, and scrolling stays quick', () =>
    session({ symbols: 2000, history: 90 }, {}, async ({ page }) => {
      await until(page, 'bars', (p) => p.bars > 20, 20_000);
      await page.waitForFunction(() => document.querySelector('#watch-count').textContent === '2000');
      assert.ok((await page.evaluate(() => document.querySelectorAll('.w-row').length)) < 80);
      await page.evaluate(() => (document.querySelector('#watch-scroll').scrollTop = 30_000));
      await page.waitForFunction(() => [...document.querySelectorAll('.w-row')].some((r) => !r.hidden && Number(r.getAttribute('aria-posinset')) > 1000));
    }));

  const post = (id, text, more = {}) => ({ id, source: 'reddit', place: 'r/stocks', url: 'https://example.test/x', created: Date.now() * 1e6, available: Date.now() * 1e6, origin: 'live', compound: 0.6249, pos: 0.5, neu: 0.5, neg: 0, mentions: [{ symbol: 'SPY', evidence: 'cashtag', counted: true }], text, ...more });

  test('posts come in, are never markup, can be narrowed to the symbol, and go when they are removed', () => {
    const evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>&amp;';
    const posts = [
      post('reddit:1', evil, { url: 'javascript:window.hacked=3' }),
      post('reddit:2', 'puts on this one', { compound: -0.5, mentions: [{ symbol: 'AAPL', evidence: 'name', counted: false }] }),
    ];
    return session({ posts, minutes: (m) => [{ minute: (Math.floor(Date.now() / 60000) * 60 - 60) * 1e9, n: 3, mean: 0.4, share_positive: 1 }] }, {}, async ({ page, fake }) => {
      await until(page, 'bars', (p) => p.bars > 100);
      await page.waitForFunction(() => document.querySelectorAll('.post').length === 2);
      assert.equal(await page.locator('.post p', { hasText: 'onerror' }).textContent(), evil);
      assert.equal(await page.locator('.posts-body img, .posts-body script').count(), 0);
      assert.equal(await page.locator('.post a[href^="javascript"]').count(), 0);
      assert.deepEqual(await page.locator('.p-score').allTextContents().then((t) => t.sort()), ['+0.62 positive', '−0.50 negative']);
      await page.waitForFunction(() => document.querySelector('.chart-wrap').classList.contains('with-moods'));
      fake.publish('post', null, post('reddit:3', 'fresh'));
      await page.waitForFunction(() => document.querySelectorAll('.post').length === 3);
      fake.publish('removed', null, { id: 'reddit:3', available: Date.now() * 1e6 });
      await page.waitForFunction(() => document.querySelectorAll('.post').length === 2);
      await page.click('#posts-filter button:nth-of-type(2)');
      await page.waitForFunction(() => document.querySelectorAll('.post').length === 1);
      await page.waitForTimeout(300);
      assert.equal(await page.evaluate(() => window.hacked), undefined);
    });
  });

  test('a phone has tabs and nothing wider than the screen', () =>
    session({ posts: [post('reddit:1', 'a long one '.repeat(60))] }, { width: 360, height: 740, hasTouch: true }, async ({ page }) => {
      await until(page, 'bars', (p) => p.bars > 100);
      for (const tab of ['watch', 'chart', 'skill', 'posts', 'health']) {
        await page.click(`#tabs [data-tab=${tab}]`);
        await page.waitForTimeout(150);
        const wide = await page.evaluate(() => {
          const out = [];
          if (document.documentElement.scrollWidth > innerWidth) out.push('page');
          for (const p of document.querySelectorAll('.panel')) if (p.offsetParent && p.getBoundingClientRect().right > innerWidth + 0.5) out.push(p.id);
          return out;
        });
        assert.deepEqual(wide, [], `tab ${tab}`);
      }
    }));

  test('charts and tables can be taken away as CSV and PNG', () =>
    session({}, { acceptDownloads: true }, async ({ page }) => {
      await until(page, 'bars', (p) => p.bars > 100 && p.n > 0);
      const take = async (act) => {
        const [d] = await Promise.all([page.waitForEvent('download'), act()]);
        return { name: d.suggestedFilename(), body: await readFile(await d.path()) };
      };
      const csv = await take(() => page.keyboard.press('e'));
      assert.match(csv.name, /SPY.*simulated\.csv$/);
      assert.match(csv.body.toString(), /^start_utc,open,high,low,close,volume/);
      const png = await take(() => page.keyboard.press('p'));
      assert.equal(png.body.subarray(1, 4).toString(), 'PNG');
      await page.click('.strip-residual button');
      await page.waitForSelector('dialog[open] canvas');
      const strip = await take(() => page.click('#dialog-tools button:has-text("PNG")'));
      assert.equal(strip.body.subarray(1, 4).toString(), 'PNG');
      const rows = await take(() => page.click('#dialog-tools button:has-text("CSV")'));
      assert.ok(rows.body.toString().split('\r\n').length > 100);
    }));

  for (const theme of ['dark', 'light'])
    test(`accessibility rules hold, contrast included (${theme})`, () =>
      session({ posts: [post('reddit:1', 'calls on this one')] }, { reducedMotion: 'reduce' }, async ({ page, fake }) => {
        await until(page, 'bars', (p) => p.bars > 100 && p.n > 0);
        await page.waitForTimeout(1200);
        fake.freeze();
        await page.evaluate(await readFile(axeSource(), 'utf8'));
        const check = async (where) => {
          const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }));
          assert.deepEqual(found.violations.map((v) => `${where}: ${v.id}: ${v.nodes.slice(0, 4).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`), []);
        };
        await check('desk');
        for (const key of ['s', 'h', '?']) {
          await page.keyboard.press(key);
          await page.waitForSelector('dialog[open]');
          await check(`dialog ${key}`);
          await page.keyboard.press('Escape');
        }
        await page.waitForSelector('#watch-panel.stale', { timeout: 20_000 });
        await check('stale desk');
        await page.setViewportSize({ width: 360, height: 740 });
        for (const tab of ['watch', 'chart', 'skill', 'posts', 'health']) {
          await page.click(`#tabs [data-tab=${tab}]`);
          await check(`phone ${tab}`);
        }
      }, `#theme=${theme}`));
});
