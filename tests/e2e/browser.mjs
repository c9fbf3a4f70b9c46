// Chromium for the browser tests, and a page that keeps count of everything it must not do.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../web/package.json', import.meta.url));

export const CHROMIUM = process.env.TICKCAST_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => existsSync(p));
export const axeSource = () => require.resolve('axe-core/axe.min.js');

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export async function launch() {
  const { chromium } = require('playwright-core');
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/* Opens a page and watches it: console errors, faults, requests to other hosts, breaches of the content policy. */
export async function open(browser, url, { width = 1440, height = 900, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, ...more });
  const page = await context.newPage();
  const faults = [];
  const host = new URL(url).host;
  page.on('console', (m) => {
    // A refused connection is what the reconnect test asks for; the browser writes it to the console by itself.
    if (m.type() === 'error' && !/net::ERR_|Failed to load resource/.test(m.text())) faults.push(`console: ${m.text()}`);
  });
  page.on('pageerror', (e) => faults.push(`fault: ${e.stack ?? e.message}`));
  page.on('request', (r) => {
    const u = new URL(r.url());
    if (!['data:', 'blob:'].includes(u.protocol) && u.host !== host) faults.push(`request to ${u.host}`);
  });
  await page.addInitScript(() => {
    window.__csp = [];
    document.addEventListener('securitypolicyviolation', (e) => window.__csp.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
  });
  await page.goto(url);
  const check = async () => [...faults, ...(await page.evaluate(() => window.__csp.map((x) => `content policy: ${x}`)))];
  return { page, context, faults: check, close: () => context.close() };
}

export const probe = (page) => page.evaluate(() => window.tickcast?.probe() ?? null);

/* Waits until `test(probe)` holds; says what it saw when it does not. */
export async function until(page, what, test, ms = 15_000) {
  const end = Date.now() + ms;
  let last = null;
  while (Date.now() < end) {
    last = await probe(page);
    if (last && test(last)) return last;
    await new Promise((ok) => setTimeout(ok, 100));
  }
  throw new Error(`not in ${ms / 1000} s: ${what}; saw ${JSON.stringify(last)}`);
}
