// What a parent waits for at the school gate: the portal in a real browser, on a phone four times slower than this machine and a slow
// line (Lighthouse's `slow 4G`), with nothing kept from before. The environment says where and how:
//
//     PORTAL={"web":…,"sandbox":…,"creditor":…,"username":…,"password":…,"notice":…} ROUNDS=5 [SHOTS=folder] node speed.mjs
//
// Of every page: when the first of its content is painted (milliseconds from when it was asked for), by how much what is painted moves
// afterwards (all shifts, also those after a tap), and what comes over the line (bytes with headers). Prints a line of JSON:
// {"pages":[{"name":…,"rounds":[{"paint":…,"shift":…,"bytes":…,"moved":[…]}]}]}. Ends with 1 and says why where a page does not come.
import { mkdirSync } from 'node:fs';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const at = JSON.parse(process.env.PORTAL);
const rounds = Number(process.env.ROUNDS || 5);
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const base = `${at.web}/comune/${at.creditor}`;
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, locale: 'it-IT' };
const slower = 4;
// Lighthouse's: 1.6 Mbit/s, 750 kbit/s, 150 ms.
const line = { offline: false, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8, latency: 150 };
// What comes late moves the page, too: so long it is looked at after it has loaded, in milliseconds.
const afterwards = 700;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

async function enter(page) {
  await page.fill('#utente', at.username);
  await page.fill('#password', at.password);
  await page.locator('main form button:has-text("Accedi")').first().click();
  await page.waitForURL((url) => url.href.replace(/\/$/, '') === base);
}

// A payment that is waited for, so that its page is live; answers where it is. The phone does not do this.
async function begin() {
  const context = await browser.newContext({ locale: 'it-IT' });
  const page = await context.newPage();
  await page.goto(base);
  await enter(page);
  await page.locator('.portal-strip li:first-child .btn').click();
  await page.waitForSelector('#esito');
  const outcome = page.url();
  // One that was begun before goes on.
  if (!(await page.locator('#esito[sse-connect]').count())) {
    await page.locator('button:has-text("Paga online")').first().click();
    await page.waitForURL((url) => url.href.startsWith(at.sandbox));
    await page.goto(outcome);
  }
  await page.waitForSelector('#esito[sse-connect]');
  await page.goto(`${base}/avviso/${at.notice}`);
  await page.waitForSelector('.portal-qr');
  await context.close();
  return outcome;
}

const outcome = await begin();
const pages = new Map();

async function round(number) {
  const context = await browser.newContext(phone);
  context.setDefaultTimeout(60_000);
  await context.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries()) {
        const from = ({ node, previousRect, currentRect }) => {
          const what = node?.outerHTML || node?.textContent || node?.nodeName || '';
          return `${what.slice(0, 80)}: ${[previousRect, currentRect].map(({ x, y, width, height }) => [x, y, width, height].map(Math.round)).join(' -> ')}`;
        };
        window.shifts.push({ value, what: sources.map(from) });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  let bytes = 0;
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  cdp.on('Network.requestWillBeSent', ({ redirectResponse }) => { bytes += redirectResponse?.encodedDataLength || 0; });
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', line);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: slower });
  const look = async (name, go) => {
    bytes = 0;
    await go();
    await page.waitForLoadState('load');
    const seen = await page.evaluate(async (afterwards) => {
      await document.fonts.ready;
      await new Promise((done) => { setTimeout(done, afterwards); });
      const [paint] = performance.getEntriesByName('first-contentful-paint');
      return { paint: paint?.startTime, shifts: window.shifts };
    }, afterwards);
    assert.ok(seen.paint > 0, `${name}: nothing was painted`);
    const shift = seen.shifts.reduce((sum, { value }) => sum + value, 0);
    const moved = seen.shifts.flatMap(({ what }) => what);
    if (!pages.has(name)) pages.set(name, []);
    pages.get(name).push({ paint: seen.paint, shift, bytes, moved });
    if (shots && number === 0) await page.screenshot({ path: `${shots}/speed-${name.replaceAll(' ', '-')}.png` });
  };
  await look('sign in', () => page.goto(base));
  await look('home after sign in', () => enter(page));
  for (const [name, path, sign] of [
    ['home', base, '.portal-child'],
    ['top up', `${base}/ricarica`, '.portal-wallet'],
    ['notice', `${base}/avviso/${at.notice}`, '.portal-qr'],
    ['outcome', outcome, '#esito[sse-connect]'],
  ]) {
    await look(name, () => page.goto(path));
    assert.ok(await page.locator(sign).count(), `${name}: another page came`);
  }
  await context.close();
}

for (let number = 0; number < rounds; number += 1) await round(number);
await browser.close();
console.log(JSON.stringify({ pages: [...pages].map(([name, its]) => ({ name, rounds: its })) }));
