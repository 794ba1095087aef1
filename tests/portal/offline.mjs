// A parent whose phone loses its network, played by a real browser with its service worker. The environment as for stories.mjs.
import assert from 'node:assert/strict';
import net from 'node:net';
import { at, finish, press, scripts, visit } from './harness.mjs';

// The line between the phone and the server, which can be pulled out: what a browser can pretend does not reach its worker.
const server = new URL(at.web);
const open = new Set();
let plugged = true;
// Whether the page that is kept is held up on its way, and what lets it go on.
let held = false;
const later = [];
let here;
let waiting;
const hold = (on) => {
  held = on;
  if (on) waiting = new Promise((resolve) => { here = resolve; });
  else for (const go of later.splice(0)) go();
};
const line = net.createServer((near) => {
  if (!plugged) return near.destroy();
  const far = net.connect(Number(server.port), server.hostname);
  near.on('data', (data) => {
    if (!held || !/^GET \S+\/senza-rete /.test(data.toString('latin1'))) return;
    // The answer to this one lies on the line.
    far.unpipe(near);
    later.push(() => far.pipe(near));
    here();
  });
  for (const [one, other] of [[near, far], [far, near]]) {
    open.add(one);
    one.on('error', () => other.destroy());
    one.on('close', () => { open.delete(one); other.destroy(); });
    one.pipe(other);
  }
  return undefined;
});
await new Promise((ready) => { line.listen(0, '127.0.0.1', ready); });
const plug = (there) => {
  plugged = there;
  if (!there) for (const socket of open) socket.destroy();
};
const base = `http://127.0.0.1:${line.address().port}/comune/${at.creditor}`;

async function enter(page, stays, who = at.username) {
  // The language that a window is given here does not reach its worker; the one that a parent chose does.
  await page.context().addCookies([{ name: 'lingua', value: 'it', url: base }]);
  await page.goto(`${base}/accesso`);
  await page.fill('#utente', who);
  await page.fill('#password', at.password);
  if (stays) await page.check('#resta');
  await press(page, 'main form button:has-text("Accedi")');
  await page.waitForSelector('.portal-child');
}

// What a browser has kept of a family, in any of its caches.
const kept = (page) => page.evaluate(async () => {
  const texts = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const text = await (await cache.match(request)).text();
      if (/Giulia|Luca|avviso-\d/.test(text)) texts.push(new URL(request.url).pathname);
    }
  }
  return texts;
});

const settled = async (page, wanted) => {
  const reads = async () => JSON.stringify(await kept(page)) === JSON.stringify(wanted);
  for (let tries = 0; tries < 400 && !(await reads()); tries += 1) await page.waitForTimeout(50);
  assert.deepEqual(await kept(page), wanted);
};

if (scripts) {
  const page_kept = new URL(`${base}/senza-rete`).pathname;

  await visit('without a network', async (page, look) => {
    await enter(page, true);
    await settled(page, [page_kept]);
    await page.goto(`${base}/senza-rete`);
    await look('the page that is kept');
    const number = await page.locator('section[id^=avviso-]').first().getAttribute('id');
    await page.goto(base);
    await page.waitForSelector('.portal-child');
    plug(false);
    // Whatever is asked for, this is what there is; the notice that was asked for is where the eye goes.
    await page.goto(`${base}/avviso/${number.slice('avviso-'.length)}`);
    assert.match(await page.innerText('main'), /Ora non c'è rete/);
    assert.match(await page.innerText('main'), /aggiornato il \d+ \w+ \d{4} alle/);
    assert.ok(await page.locator(`#${number} svg[role=img]`).isVisible());
    assert.equal(await page.evaluate('document.activeElement.id'), number);
    assert.ok((await page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily")).includes('Titillium'));
    await look('a notice without a network');
    await page.goto(base);
    assert.ok(await page.locator('.portal-child').first().isVisible());
    await look('home without a network');
    // Back with the network, the pages are the server's again.
    plug(true);
    await page.goto(`${base}/ricarica`);
    assert.ok(!(await page.innerText('main')).includes('rete'));
    await page.locator('input[type=radio][value="2000"]').first().check();
    plug(false);
    await press(page, 'main form button[value=avviso], main form button:has-text("PSP")');
    await page.waitForSelector('[data-senza=invio]:not([hidden])');
    await look('the network went away while sending');
    // As the page says: with the network, loading it again sends the same once more.
    plug(true);
    await page.reload();
    await page.waitForSelector('.portal-qr');
    assert.match(await page.innerText('h1'), /Avviso di pagamento/);
    plug(false);
    await page.goto(base);
    // Signing out is heard on this device at once, by the server when there is one.
    await press(page, 'button:has-text("Esci")');
    await page.waitForSelector('[data-senza=uscita]:not([hidden])');
    await look('signed out without a network');
    assert.deepEqual(await kept(page), []);
    await page.goto(base);
    assert.equal(await page.locator('.portal-child').count(), 0);
    await look('nothing is kept');
    plug(true);
  });

  await visit('signing out leaves nothing', async (page) => {
    await enter(page, true);
    await settled(page, [page_kept]);
    await press(page, 'button:has-text("Esci")');
    await page.waitForSelector('#utente');
    assert.deepEqual(await kept(page), []);
    plug(false);
    await page.goto(base).catch(() => {});
    assert.equal(await page.locator('.portal-child').count(), 0);
    plug(true);
  });

  await visit('two parents on one device', async (page) => {
    await enter(page, true, at.other);
    await page.waitForSelector('.portal-child');
    const theirs = await page.context().cookies(base);
    await page.context().clearCookies();
    await enter(page, true);
    await settled(page, [page_kept]);
    // The other one comes back, by a page that says nothing of a family.
    await page.context().clearCookies();
    await page.context().addCookies(theirs);
    await page.goto(`${base}/aiuto`);
    assert.deepEqual(await kept(page), []);
  });

  await visit('a page that comes too late is not kept', async (page) => {
    await enter(page, true);
    await settled(page, [page_kept]);
    hold(true);
    await page.goto(base);
    await waiting;
    await press(page, 'button:has-text("Esci")');
    await page.waitForSelector('#utente');
    hold(false);
    // The worker has had its answer before these.
    for (const path of ['aiuto', 'novita', 'accesso']) await page.goto(`${base}/${path}`);
    assert.deepEqual(await kept(page), []);
  });

  await visit('a shared computer keeps nothing', async (page) => {
    await enter(page, false);
    assert.deepEqual(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
    assert.deepEqual(await kept(page), []);
    // Nor what somebody kept on it before.
    await press(page, 'button:has-text("Esci")');
    await page.waitForSelector('#utente');
    await enter(page, true);
    await settled(page, [page_kept]);
    await page.context().clearCookies();
    await page.goto(base);
    await page.waitForSelector('#utente');
    assert.deepEqual(await kept(page), []);
  });
}

line.close();
await finish();
