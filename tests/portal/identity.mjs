// `Entra con SPID` in a real browser: to a provider on another site, back, and past the privacy notice. The environment says where and how:
//
//     PORTAL={"web":…,"creditor":…,"issuer":…} DEVICE=phone|desktop SCRIPTS=yes|no SHOTS=folder node identity.mjs
//
// On every page axe finds nothing, nothing is wider than the screen, the console stays silent, and a picture is kept for a person to look
// at. Ends with 1 and says what is wrong.
import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const at = JSON.parse(process.env.PORTAL);
const scripts = process.env.SCRIPTS !== 'no';
const shots = process.env.SHOTS;
mkdirSync(shots, { recursive: true });

const base = `${at.web}/comune/${at.creditor}`;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
const viewport = process.env.DEVICE === 'phone' ? { width: 390, height: 844 } : { width: 1280, height: 900 };
const wrong = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

async function visit(name, story) {
  const context = await browser.newContext({ viewport, locale: 'it-IT', javaScriptEnabled: scripts });
  // Long, for the machine may be busy: a page that does not come fails all the same.
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  const loud = [];
  page.on('console', (message) => { if (message.type() === 'error') loud.push(message.text()); });
  page.on('pageerror', (error) => loud.push(error.message));
  const cdp = await context.newCDPSession(page);
  // Looks at the page as it is now.
  const look = async (what) => {
    const title = `${name} ${what}`;
    await page.screenshot({ path: `${shots}/${title.replaceAll(' ', '-')}.png`, fullPage: true });
    for (const width of [viewport.width, 320]) {
      await page.setViewportSize({ ...viewport, width });
      const { cssContentSize } = await cdp.send('Page.getLayoutMetrics');
      if (cssContentSize.width > width) wrong.push(`${title}: ${cssContentSize.width} px wide on a screen of ${width}`);
    }
    await page.setViewportSize(viewport);
    // Axe is a script itself; without scripts the markup is the same.
    if (!scripts) return;
    await cdp.send('Runtime.evaluate', { expression: axe });
    const run = `axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then((found) => JSON.stringify(found.violations))`;
    const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { expression: run, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) wrong.push(`${title}: axe did not run`);
    for (const { id, nodes } of JSON.parse(result.value || '[]')) {
      wrong.push(`${title}: ${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
    }
    // A refused form is loud by nature; what the provider's page wants is not ours.
    const ours = loud.splice(0).filter((line) => !/status of 4\d\d|favicon/.test(line));
    if (ours.length) wrong.push(`${title}: ${ours.join(' | ')}`);
  };
  try {
    await story(page, look);
  } catch (error) {
    wrong.push(`${name}: ${page.url()}: ${error.stack}`);
    await page.screenshot({ path: `${shots}/${name}-failed.png`, fullPage: true }).catch(() => {});
  }
  await context.close();
}

// To the provider, by the page in between, which leads on by itself.
async function leave(page) {
  await page.locator('button[formaction$="/accesso/spid"]').press('Enter');
  await page.waitForURL((url) => url.href.startsWith(at.issuer));
}

await visit('spid', async (page, look) => {
  await page.goto(`${base}/movimenti`);
  await look('entry');
  await leave(page);
  await page.fill('[name=chi]', 'maria');
  await page.locator('button[value=entra]').press('Enter');
  await page.waitForURL((url) => url.href.startsWith(`${base}/privacy`));
  await look('privacy');
  await page.locator('main form[action$="/privacy"] button').press('Enter');
  assert.ok(page.url().includes('/privacy'), 'a tick is needed');
  await page.locator('#accetto').press('Space');
  await page.locator('main form[action$="/privacy"] button').press('Enter');
  await page.waitForURL(`${base}/movimenti`);
  await look('inside');
  await page.goto(`${base}/dispositivi`);
  assert.ok((await page.textContent('main')).includes('(SPID)'));
  await page.goto(`${base}/profilo`);
  await look('profile');
});

await visit('back', async (page, look) => {
  await page.goto(`${base}/accesso`);
  await leave(page);
  await page.locator('button[value=annulla]').press('Enter');
  await page.waitForURL((url) => url.href.startsWith(`${base}/accesso/spid/ritorno`));
  assert.ok((await page.textContent('main')).includes('Non hai completato'));
  await look('turned');
});

await visit('unknown', async (page, look) => {
  await page.goto(`${base}/accesso`);
  await leave(page);
  await page.fill('[name=chi]', 'nobody');
  await page.locator('button[value=entra]').press('Enter');
  await page.waitForURL((url) => url.href.startsWith(`${base}/accesso/spid/ritorno`));
  assert.ok((await page.textContent('main')).includes('il tuo codice fiscale non è ancora'));
  await look('told');
  await page.reload();
  assert.ok((await page.textContent('main')).includes('ricomincia da qui'), 'an answer is good once');
});

await browser.close();
if (wrong.length) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
