// What every script of the portal in a real browser shares. The environment says where and how:
//
//     PORTAL={"web":…,"creditor":…,…} DEVICE=phone|desktop SCRIPTS=yes|no SHOTS=folder node SCRIPT.mjs
//
// On every page that a script looks at: axe finds nothing, nothing is wider than the screen, the console stays silent, and a picture is
// kept for a person to look at. `finish` ends with 1 and says what was wrong.
import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const at = JSON.parse(process.env.PORTAL);
export const scripts = process.env.SCRIPTS !== 'no';
export const base = `${at.web}/comune/${at.creditor}`;

const phone = process.env.DEVICE === 'phone';
const shots = process.env.SHOTS;
mkdirSync(shots, { recursive: true });

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
// A phone in the hand of somebody at the school gate; the narrowest that WCAG asks for is tried besides.
const viewport = phone ? { width: 360, height: 740 } : { width: 1280, height: 900 };
const wrong = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

// What a page complains of to the console. A refused form and a page that is missing are loud by nature, and what the pages of an
// identity provider want is not ours.
function listen(page) {
  const loud = [];
  const theirs = (url) => at.issuer !== undefined && url.startsWith(at.issuer);
  page.on('console', (message) => {
    const harmless = /status of 4\d\d/.test(message.text()) || theirs(message.location().url);
    if (message.type() === 'error' && !harmless) loud.push(message.text());
  });
  page.on('pageerror', (error) => loud.push(error.message));
  return loud;
}

// What axe finds on a page. By the debugger, so that the page's own rules against foreign scripts stay in force.
async function violations(cdp) {
  await cdp.send('Runtime.evaluate', { expression: axe });
  const run = `axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then((found) => JSON.stringify(found.violations))`;
  const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { expression: run, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) return ['axe did not run'];
  return JSON.parse(result.value).map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
}

// Plays a story in a browser of its own: `story(page, look)`, where `look(what)` looks at the page as it is now.
export async function visit(name, story) {
  const context = await browser.newContext({ viewport, locale: 'it-IT', javaScriptEnabled: scripts });
  // Long, for the machine may be busy: a page that does not come fails all the same.
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const loud = listen(page);
  const cdp = await context.newCDPSession(page);
  let shown = 0;
  const look = async (what) => {
    shown += 1;
    const title = `${name} ${String(shown).padStart(2, '0')} ${what}`;
    await page.screenshot({ path: `${shots}/${title.replaceAll(/[ /]/g, '-')}.png`, fullPage: true });
    for (const width of [viewport.width, ...(phone ? [320] : [])]) {
      await page.setViewportSize({ ...viewport, width });
      const { cssContentSize } = await cdp.send('Page.getLayoutMetrics');
      if (cssContentSize.width > width) wrong.push(`${title}: ${cssContentSize.width} px wide on a screen of ${width}`);
    }
    await page.setViewportSize(viewport);
    // Axe is a script itself; without scripts the markup is the same.
    if (scripts) wrong.push(...(await violations(cdp)).map((found) => `${title}: ${found}`));
    wrong.push(...loud.splice(0).map((line) => `${title}: ${line}`));
  };
  try {
    await story(page, look);
  } catch (error) {
    wrong.push(`${name}: ${page.url()}: ${error.stack}`);
    await page.screenshot({ path: `${shots}/${name.replaceAll(' ', '-')}-failed.png`, fullPage: true }).catch(() => {});
  }
  await context.close();
}

// Whether something stands still a script would have to tell; without, the key does what the finger does.
export function press(page, selector) {
  const found = page.locator(selector).first();
  return scripts ? found.click() : found.press('Enter');
}

// Signs in.
export async function enter(page) {
  await page.goto(base);
  await page.fill('#utente', at.username);
  await page.fill('#password', at.password);
  await press(page, 'main form button:has-text("Accedi")');
  await page.waitForSelector('.portal-child');
}

export async function finish() {
  await browser.close();
  if (wrong.length) {
    console.error(wrong.join('\n\n'));
    process.exit(1);
  }
}
