// `Entra con SPID` in a real browser (`harness.mjs`): to a provider on another site, back, and past the privacy notice. PORTAL says
// besides: issuer.
import assert from 'node:assert/strict';
import { at, base, finish, visit } from './harness.mjs';

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

await visit('on the way', async (page, look) => {
  await page.goto(`${base}/accesso`);
  // Where the way leads answers nothing, so the page before it stays.
  await page.route(`${at.issuer}/**`, (route) => route.fulfill({ status: 204 }));
  await page.locator('button[formaction$="/accesso/spid"]').press('Enter');
  await page.waitForSelector('main a[rel=noreferrer]');
  await look('to the provider');
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

await finish();
