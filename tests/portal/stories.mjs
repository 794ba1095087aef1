// A parent's stories, played by a real browser against a running house (`harness.mjs`). PORTAL says besides: sandbox, username, password,
// and of a notice its number and whom it names (notice, debtor).
import assert from 'node:assert/strict';
import { at, base, enter, finish, press, scripts, visit } from './harness.mjs';

// The page of the sandbox platform: pays as a card would.
async function pay(url) {
  const answer = await fetch(`${at.sandbox}/api/carts/${url.split('/').pop()}/pay`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}',
  });
  assert.equal((await answer.json()).outcome, 'paid');
}

const text = (page, selector) => page.locator(selector).first().innerText();

await visit('in and out', async (page, look) => {
  await page.goto(base);
  await look('sign in');
  await page.fill('#utente', at.username);
  await page.fill('#password', 'una password sbagliata');
  await press(page, 'main form button:has-text("Accedi")');
  await page.waitForSelector('[role=alert]');
  await look('wrong password');
  if (scripts) assert.equal(await page.evaluate('document.activeElement.id'), 'problema', 'the trouble is read out first');
  assert.equal(await page.inputValue('#utente'), at.username);
  await page.fill('#password', at.password);
  await press(page, 'main form button:has-text("Accedi")');
  await page.waitForSelector('.portal-child');
  await press(page, 'button:has-text("Esci")');
  await page.waitForSelector('#utente');
  await page.goBack();
  // What was on the screen of a shared computer does not come back.
  assert.equal(await page.locator('.portal-child').count(), 0);
});

await visit('due in three taps', async (page, look) => {
  await enter(page);
  await look('home');
  await press(page, '.portal-strip li:first-child .btn');
  await look('bill');
  const due = await text(page, '.portal-big');
  await press(page, 'button:has-text("Paga online")');
  await page.waitForURL((url) => url.href.startsWith(at.sandbox));
  const checkout = page.url();
  // Two taps from home. Back by the browser's own button: what is under way is said.
  await page.goBack();
  await page.waitForSelector('#esito');
  assert.match(await text(page, '.portal-state'), /In corso: in attesa di conferma/);
  await look('under way');
  if (scripts) {
    // The receipt comes while the page is open: it says so by itself.
    await Promise.all([page.waitForSelector('.portal-outcome.mood-ok'), pay(checkout)]);
  } else {
    await pay(checkout);
    await page.reload();
  }
  assert.match(await text(page, '.portal-state'), /Operazione conclusa: pagato/);
  await look('paid');
  await page.goto(`${at.web}/pagamento/annullato`);
  assert.match(page.url(), /\/esito\//, 'back from pagoPA one comes to the outcome');
  await page.goto(base);
  assert.ok(!(await page.innerText('main')).includes(`da pagare ${due}`));
});

await visit('pay everything', async (page, look) => {
  await enter(page);
  await page.goto(`${base}/paga`);
  await look('table');
  const boxes = page.locator('input[name=avviso]');
  assert.ok((await boxes.count()) >= 1);
  if (scripts) {
    const before = await text(page, 'output[data-somma]');
    await boxes.first().uncheck({ force: !scripts });
    assert.notEqual(await text(page, 'output[data-somma]'), before, 'the total follows the ticks');
  } else {
    await boxes.first().uncheck({ force: !scripts });
  }
  for (const box of await boxes.all()) await box.uncheck({ force: !scripts });
  await press(page, 'button:has-text("PAGA ONLINE")');
  await page.waitForSelector('[role=alert]');
  await look('nothing ticked');
});

await visit('top up with a notice', async (page, look) => {
  await enter(page);
  await press(page, '.portal-child li:first-child .btn');
  await look('choose');
  const wallet = page.locator('.portal-wallet.chosen');
  await wallet.locator('input[inputmode=decimal]').fill('31,4');
  if (scripts) {
    assert.equal(await text(page, 'output[data-somma]'), '31,40 €');
  } else {
    await wallet.locator('input[value=altro]').check({ force: !scripts });
  }
  await press(page, 'button[value=avviso]');
  await page.waitForSelector('.portal-qr');
  assert.equal(await text(page, '.portal-big'), '31,40 €');
  await look('notice');
  const notice = page.url();
  await page.goBack();
  await page.waitForSelector('.portal-wallet');
  await page.locator('.portal-wallet.chosen input[inputmode=decimal]').fill('tanto');
  if (!scripts) await page.locator('.portal-wallet.chosen input[value=altro]').check({ force: !scripts });
  await press(page, 'button[value=online]');
  await page.waitForSelector('.portal-problem');
  await look('what is no amount');
  await page.goto(notice);
  await press(page, 'button:has-text("Crea un link per pagare")');
  await page.waitForSelector('button[name=revoca]');
  await look('link to pay');
  await press(page, 'button[name=revoca]');
  await page.waitForSelector('button[name=revoca]', { state: 'detached' });
});

await visit('the rest', async (page, look) => {
  await enter(page);
  await page.goto(`${base}/movimenti`);
  await look('movements');
  await press(page, '.portal-filter li:nth-child(2) a');
  await page.waitForSelector('#estratto');
  await look('movements of one');
  await page.goto(`${base}/archivio`);
  await look('archive');
  const [receipt] = await Promise.all([page.waitForEvent('download'), press(page, '.portal-paid a:has-text("Ricevuta")')]);
  assert.match(receipt.suggestedFilename(), /\.pdf$/);
  await page.goto(`${base}/dispositivi`);
  await look('devices');
  await page.goto(`${base}/password`);
  await look('password');
  await page.goto(`${base}/nulla`);
  await look('missing');
  await page.goto(`${at.web}/`);
  await look('front');
  for (const [tag, name] of [['de', 'Deutsch'], ['en', 'English']]) {
    await page.goto(base);
    await press(page, `button:has-text("${name}")`);
    await page.waitForSelector(`html[lang=${tag}]`);
    await look(`home ${tag}`);
    await page.goto(`${base}/ricarica`);
    await look(`top up ${tag}`);
  }
});

// The family in tables, its bills, and the search.
await visit('overview', async (page, look) => {
  await enter(page);
  await page.goto(`${base}/consumatori`);
  await look('children');
  await page.goto(`${base}/bollettini`);
  await look('bills');
  await press(page, '.portal-table tbody th a');
  await page.waitForSelector('#voci');
  await look('bill');
  await page.goto(`${base}/cerca`);
  await look('search');
  await page.fill('#cerca', 'mensa');
  await press(page, 'main form button');
  await page.waitForSelector('#trovati');
  assert.ok((await page.locator('.portal-paid li').count()) >= 1);
  await look('found');
  await page.fill('#cerca', 'pianoforte');
  await press(page, 'main form button');
  await page.waitForSelector('text=Non si è trovato nulla');
  await look('nothing found');
  await page.goto(`${base}/paga?categoria=Mensa+scolastica`);
  await look('one category');
});

// Who only holds a paper notice, and who has no way in yet.
await visit('without signing in', async (page, look) => {
  await page.goto(`${base}/avvisi`);
  await look('notice');
  const fill = async (number, code) => {
    const fields = page.locator('main form input:visible');
    await fields.nth(0).fill(number);
    await fields.nth(1).fill(code);
    await press(page, 'main form button');
  };
  await fill(at.notice, 'RSSMRA80A01H501U');
  await page.waitForSelector('[role=alert]');
  await look('wrong');
  await fill(at.notice, at.debtor);
  await page.waitForSelector('text=M*** B***');
  assert.ok(!(await page.innerText('main')).includes('Bianchi'), 'it names nobody');
  await look('found');
  await press(page, 'button:has-text("PAGA")');
  await page.waitForURL((url) => url.href.startsWith(at.sandbox));
  await page.goto(`${at.web}/pagamento/ok`);
  await look('under way');
  await page.goto(`${base}/ricevuta-telematica`);
  await look('receipt');
  await page.goto(`${base}/spontaneo`);
  await look('without a notice');
  await page.locator('main form').evaluate((form) => { form.noValidate = true; });
  await press(page, 'main form button');
  await page.waitForSelector('[role=alert]');
  await look('without a notice wrong');
});

await visit('getting in', async (page, look) => {
  await page.goto(`${base}/registrati`);
  await look('register');
  await page.locator('main form').evaluate((form) => { form.noValidate = true; });
  await press(page, 'main form button:has-text("Registrati")');
  await page.waitForSelector('[role=alert]');
  await look('register wrong');
  await page.goto(`${base}/problemi-accesso`);
  await look('recovery');
  await page.locator('main form input:visible').first().fill(at.username);
  await press(page, 'main form button');
  await page.waitForSelector('text=Conferma da un altro dispositivo');
  await look('proofs');
  await enter(page);
  await look('home asks');
  await page.goto(`${base}/recuperi`);
  await look('requests');
  await page.goto(`${base}/profilo`);
  await look('profile');
});

// Everything by keyboard: to the content, to the remedy, to the form, and through it.
await visit('by keyboard', async (page) => {
  await page.goto(base);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const reach = async (selector) => {
    for (let tabs = 0; tabs < 80; tabs += 1) {
      await page.keyboard.press('Tab');
      if (await page.locator(':focus').first().evaluate((focused, wanted) => focused.matches(wanted), selector).catch(() => false)) return;
    }
    throw new Error(`no key leads to ${selector}`);
  };
  await reach('#utente');
  await page.keyboard.type(at.username);
  await page.keyboard.press('Tab');
  await page.keyboard.type(at.password);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.portal-child');
  await reach('.portal-child .btn');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.portal-wallet.chosen');
  await reach('.portal-wallet.chosen input[type=radio]');
  await page.keyboard.press('ArrowDown');
  await reach('button[value=avviso]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.portal-qr');
});

await finish();
console.log('every story came to its end');
