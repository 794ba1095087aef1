// The service worker of one creditor's portal; `portal`, above, says which. Where there is no network it shows the one page that is kept
// of a family: last balances, open notices with their QR codes. Kept only where the server says so, and gone with the sign-out, or with the
// first page of nobody, of a shared computer or of another visit.
'use strict';
const shelf = `borsellino ${portal.base} ${portal.mark}`;
const purse = `borsellino ${portal.base} famiglia`;
// How often something was forgotten: what was fetched before comes too late.
let forgotten = 0;

const forget = async () => {
  forgotten += 1;
  await caches.delete(purse);
};

// What a page says of what is kept: `keep MARK`, `mine MARK` or `forget`; MARK is the visit's.
const said = (page) => (page?.headers.get('portal-offline') || '').split(' ');

const keep = async () => {
  const before = forgotten;
  const page = await fetch(portal.page, { redirect: 'error' });
  if (!page.ok || said(page)[0] !== 'keep') return;
  await (await caches.open(purse)).put(portal.page, page);
  if (before !== forgotten) await caches.delete(purse);
};

// The page that is kept, with the line that says what happened to what was asked for.
const instead = async (what) => {
  let kept = await caches.match(portal.page, { cacheName: purse });
  if (kept && Date.now() - Date.parse(kept.headers.get('date')) > portal.longest) {
    await forget();
    kept = undefined;
  }
  const page = kept || (await caches.match(portal.empty, { cacheName: shelf }));
  if (!page) return Response.error();
  const headers = new Headers(page.headers);
  for (const name of ['content-length', 'content-encoding', 'portal-offline']) headers.delete(name);
  const text = (await page.text()).replace(`hidden data-senza="${what}"`, `data-senza="${what}"`);
  return new Response(text, { headers });
};

const navigate = async (event) => {
  const { request } = event;
  const leaving = request.method === 'POST' && new URL(request.url).pathname === portal.leave;
  // Even where nobody hears it: on this device nothing stays.
  if (leaving) await forget();
  let response;
  try {
    response = (await event.preloadResponse) || (await fetch(request));
  } catch {
    return instead(leaving ? 'uscita' : request.method === 'GET' ? 'lettura' : 'invio');
  }
  const [order, whose] = said(response);
  const kept = await caches.match(portal.page, { cacheName: purse });
  // Of nobody, or of somebody else on this device.
  if (order === 'forget' || (kept && whose && whose !== said(kept)[1])) await forget();
  if (order === 'keep') event.waitUntil(keep().catch(() => {}));
  return response;
};

addEventListener('install', (event) => {
  const fill = async () => {
    await (await caches.open(shelf)).addAll([...portal.files, portal.empty]);
    await skipWaiting();
  };
  event.waitUntil(fill());
});

addEventListener('activate', (event) => {
  const tidy = async () => {
    const old = (name) => name.startsWith(`borsellino ${portal.base} `) && name !== shelf && name !== purse;
    for (const name of (await caches.keys()).filter(old)) await caches.delete(name);
    await registration.navigationPreload?.enable();
    await clients.claim();
    // What an older worker kept names files that are gone.
    await keep().catch(() => {});
  };
  event.waitUntil(tidy());
});

// A page that was there before the worker, or saw a payment settle, says that it may keep.
addEventListener('message', (event) => event.waitUntil(keep().catch(() => {})));

addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== location.origin) return;
  if (request.mode === 'navigate') event.respondWith(navigate(event));
  else if (portal.files.includes(url.pathname)) {
    event.respondWith(caches.match(url.pathname, { cacheName: shelf }).then((file) => file || fetch(request)));
  }
});
