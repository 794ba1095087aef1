// What everybody reads and what parents write, looked at by a real browser against a running house. The environment says where and how, as
// for stories.mjs:
//
//     PORTAL={"web":…,"creditor":…,"username":…,"password":…} DEVICE=phone|desktop SHOTS=folder node content.mjs
//
// On every page: axe finds nothing, nothing is wider than the screen, the console stays silent, and a picture is kept for a person to look
// at. Ends with 1 and says what is wrong.
import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const at = JSON.parse(process.env.PORTAL);
const phone = process.env.DEVICE === 'phone';
const shots = process.env.SHOTS;
mkdirSync(shots, { recursive: true });

const base = `${at.web}/comune/${at.creditor}`;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
const viewport = phone ? { width: 390, height: 844 } : { width: 1280, height: 900 };
const wrong = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext({ viewport, locale: process.env.LOCALE || 'it-IT' });
context.setDefaultTimeout(60_000);
const page = await context.newPage();
const loud = [];
page.on('console', (message) => { if (message.type() === 'error') loud.push(message.text()); });
page.on('pageerror', (error) => loud.push(error.message));
const cdp = await context.newCDPSession(page);
let shown = 0;

// Looks at the page as it is now.
async function look(what) {
  shown += 1;
  const title = `${String(shown).padStart(2, '0')} ${what}`;
  await page.screenshot({ path: `${shots}/${title.replaceAll(/[ /]/g, '-')}.png`, fullPage: true });
  for (const width of [viewport.width, ...(phone ? [320] : [])]) {
    await page.setViewportSize({ ...viewport, width });
    const { cssContentSize } = await cdp.send('Page.getLayoutMetrics');
    if (cssContentSize.width > width) wrong.push(`${title}: ${cssContentSize.width} px wide on a screen of ${width}`);
  }
  await page.setViewportSize(viewport);
  // By the debugger, so that the page's own rules against foreign scripts stay in force.
  await cdp.send('Runtime.evaluate', { expression: axe });
  const run = `axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then((found) => JSON.stringify(found.violations))`;
  const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', { expression: run, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) wrong.push(`${title}: axe did not run`);
  for (const { id, nodes } of JSON.parse(result.value || '[]')) {
    wrong.push(`${title}: ${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
  }
  // A refused form is loud by nature.
  const ours = loud.splice(0).filter((line) => !/status of 4\d\d/.test(line));
  if (ours.length) wrong.push(`${title}: ${ours.join(' | ')}`);
}

const open = async (path) => { await page.goto(`${base}${path}`); await look(path.split('?').pop() || 'home'); };

try {
  for (const path of ['/novita', '/novita/menu-invernale', '/calendario', '/calendario?mese=2030-01', '/documenti', '/domande', '/informazioni', '/aiuto']) {
    await open(path);
  }
  await page.goto(`${base}/domande`);
  await page.locator('summary').first().click();
  await look('a question opened');
  await page.goto(base);
  await page.fill('#utente', at.username);
  await page.fill('#password', at.password);
  await page.locator('main form button:has-text("Accedi")').first().click();
  await page.waitForSelector('.portal-child');
  await look('home with news');
  await open('/messaggi');
  for (const kind of ['generica', 'recapito', 'refezione', 'valutazione']) await open(`/messaggi/nuovo?tipo=${kind}`);
  await page.locator('#voto-4').check();
  await page.evaluate('document.querySelector("main form").noValidate = true');
  await page.locator('main form button').first().click();
  await page.waitForSelector('#problema');
  await look('no service chosen');
  await page.selectOption('#servizio', { index: 1 });
  await page.fill('#testo', 'Buona la zuppa.\n\nGrazie!');
  await page.locator('main form button').first().click();
  await page.waitForSelector('.alert-success');
  await page.locator('summary').first().click();
  await look('a message sent');
} catch (error) {
  wrong.push(error.stack);
  await page.screenshot({ path: `${shots}/failed.png`, fullPage: true }).catch(() => {});
}
await browser.close();
if (wrong.length) {
  console.error(wrong.join('\n'));
  process.exitCode = 1;
}
