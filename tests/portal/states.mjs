// States of the portal's pages that no other story comes by, looked at by a real browser (`harness.mjs`). PORTAL says besides: username,
// password, other (somebody else with the same password), sandbox, code (the office's, of username). The creditor asks secret questions.
import assert from 'node:assert/strict';
import { at, base, enter, finish, press, scripts, visit } from './harness.mjs';

const phrase = 'la nonna prende il treno';
const main = (page) => page.innerText('main');
const refill = (page, value) => page.evaluate((token) => {
  for (const field of document.querySelectorAll('main input[name=modulo]')) field.value = token;
}, value);

await visit('a movement that looks wrong', async (page, look) => {
  await enter(page);
  await page.goto(`${base}/movimenti`);
  await press(page, '.portal-movements a');
  await page.waitForSelector('#testo');
  assert.match(await page.inputValue('#testo'), /Non mi torna questo movimento/);
  await look('asked about');
});

await visit('forms that waited', async (page, look) => {
  await enter(page);
  const write = async (text) => {
    await page.goto(`${base}/messaggi/nuovo?tipo=generica`);
    await page.fill('#testo', text);
  };
  await write('Buongiorno,\n\nuna domanda.');
  await refill(page, 'AAAA');
  await press(page, 'main form button');
  await page.waitForSelector('h1:has-text("Riprendi")');
  await look('of an earlier visit');
  await write('Una domanda che resta.');
  await page.context().clearCookies();
  await press(page, 'main form button');
  await page.waitForSelector('#utente');
  assert.match(await main(page), /quello che hai scritto non è perso/);
  await look('the session has ended');
  await page.fill('#utente', at.username);
  await page.fill('#password', at.password);
  await press(page, 'main form button:has-text("Accedi")');
  await page.waitForSelector('h1:has-text("Riprendi")');
  assert.match(await main(page), /Una domanda che resta/);
  await look('it is still here');
  await write('Di una persona sola.');
  const form = await page.inputValue('main input[name=modulo]');
  await page.context().clearCookies();
  await page.goto(base);
  await page.fill('#utente', at.other);
  await page.fill('#password', at.password);
  await press(page, 'main form button:has-text("Accedi")');
  await page.waitForSelector('h1:has-text("I miei figli")');
  await write('Di una persona sola.');
  await refill(page, form);
  await press(page, 'main form button');
  await page.waitForSelector('.portal-message');
  assert.match(await main(page), /di un'altra persona/);
  await look('of another person');
});

await visit('on the way out', async (page, look) => {
  await enter(page);
  // Where the way leads answers nothing, so the page before it stays.
  await page.route(`${at.sandbox}/**`, (route) => route.fulfill({ status: 204 }));
  await press(page, '.portal-strip li:first-child .btn');
  await press(page, 'button:has-text("Paga online")');
  await page.waitForSelector('main a[rel=noreferrer]');
  await look('to pagoPA');
  await page.goto(`${base}/avviso/302000000000000000`);
  await page.waitForSelector('.portal-message');
  await look('no such notice');
});

await visit('a secret question', async (page, look) => {
  await enter(page);
  await page.goto(`${base}/profilo`);
  await look('profile');
  await press(page, 'main a[href$="/domanda-segreta"]');
  await page.waitForSelector('#domanda-pet');
  await look('none chosen');
  await page.fill('#password', at.password);
  await press(page, 'main form button');
  await page.waitForSelector('#problema');
  await look('nothing chosen');
  await page.check('#domanda-pet');
  await page.fill('#risposta', 'Fido');
  await page.fill('#password', at.password);
  await press(page, 'main form button');
  await page.waitForSelector('.portal-message');
  await look('kept');
  await page.goto(`${base}/domanda-segreta`);
  await look('chosen');
  // The password is forgotten, and this browser is the other device.
  const asks = await page.context().browser().newContext({ javaScriptEnabled: scripts, locale: 'it-IT' });
  const lost = await asks.newPage();
  await lost.goto(`${base}/problemi-accesso`);
  await lost.fill('#chi', at.username);
  await press(lost, 'main form button');
  await lost.waitForSelector('#codice');
  const number = await lost.innerText('#numero');
  await lost.fill('#codice', at.code);
  await press(lost, 'button:has-text("Controlla il codice")');
  await lost.waitForSelector('text=Fatto.');
  await page.goto(`${base}/recuperi`);
  await page.fill('main input[name=numero]', number);
  await press(page, 'main button:has-text("Conferma")');
  await page.waitForLoadState();
  await look('confirmed');
  const cookies = await asks.cookies();
  await asks.close();
  await page.context().clearCookies();
  await page.context().addCookies(cookies);
  await page.goto(`${base}/problemi-accesso`);
  await page.waitForSelector('#risposta');
  await look('asked');
  const answer = async (text) => {
    await page.fill('#risposta', text);
    await page.fill('#password', phrase);
    await page.fill('#password-ripetuta', phrase);
    await press(page, 'main form button');
  };
  await answer('Rex');
  await page.waitForSelector('#problema');
  await look('answered wrong');
  await answer('fido!');
  await page.waitForSelector('.portal-message');
  assert.match(await main(page), /nome utente/);
  await look('a new password');
});

await finish();
