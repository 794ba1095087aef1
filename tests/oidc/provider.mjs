// A provider of OpenID Connect for the tests: oidc-provider, which others have written and had certified, and a page of ours on which one
// says who one is. Told by one line of JSON on the standard input; prints its address once it answers; ends with the standard input.
//
//   { "now": 1795168800000, "redirects": ["http://..."], "client": "borsellino", "secret": "...",
//     "accounts": { "maria": { "fiscal_number": "TINIT-..." } }, "facts": "token" | "userinfo" }
//
// POST /told { "misbehave": "nonce" } has the next answers of the token endpoint say something else; { "misbehave": "" } ends it.
// { "now": 1795168800000 } moves its clock, { "rotate": true } gives it new keys, { "down": true } has it answer nothing but errors.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';
import { SignJWT, UnsecuredJWT, decodeJwt, exportJWK, generateKeyPair } from 'jose';

const LEVEL = 'https://www.spid.gov.it/SpidL2';

const lines = createInterface({ input: process.stdin });
const [line] = await new Promise((resolve) => lines.once('line', (text) => resolve([text])));
lines.on('close', () => process.exit(0));
const told = JSON.parse(line);

// The house's clock stands still at an instant of its own.
let ahead = told.now - Date.now();
const machine = Date.now.bind(Date);
Date.now = () => machine() + ahead;

let misbehave = '';
let down = false;
let keys;
let provider;

const server = createServer((request, response) => {
  const fail = (error) => {
    console.error(error);
    response.writeHead(500).end();
  };
  answer(request, response).catch(fail);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
// Another site than the portal's 127.0.0.1, as browsers see it.
const issuer = `http://localhost:${server.address().port}`;

async function open() {
  keys = await generateKeyPair('RS256', { extractable: true });
  const kid = `key-${Date.now()}-${Math.random()}`;
  keys.kid = kid;
  const jwk = { ...(await exportJWK(keys.privateKey)), kid, use: 'sig', alg: 'RS256' };
  const made = new Provider(issuer, {
    clients: [{
      client_id: told.client, client_secret: told.secret, redirect_uris: told.redirects,
      grant_types: ['authorization_code'], response_types: ['code'],
    }],
    jwks: { keys: [jwk] },
    cookies: { keys: ['tests only'] },
    scopes: ['openid', 'fiscal'],
    claims: { openid: ['sub'], fiscal: ['fiscal_number'] },
    conformIdTokenClaims: told.facts === 'userinfo',
    acrValues: [LEVEL],
    pkce: { methods: ['S256'], required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/entra/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...told.accounts[id] }) }),
    // The municipality asks for consent to nothing: whoever signs in is led back at once.
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid fiscal');
      await grant.save();
      return grant;
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
  });
  made.use(async (ctx, next) => {
    await next();
    if (ctx.path === '/token' && ctx.body?.id_token && misbehave) {
      ctx.body = { ...ctx.body, id_token: await bent(ctx.body.id_token) };
    }
    if (ctx.path === '/me' && misbehave === 'facts') {
      ctx.body = { ...ctx.body, sub: 'somebody-else' };
    }
  });
  return made;
}

// The identity, signed anew with something else in it.
async function bent(token) {
  const claims = decodeJwt(token);
  const other = (await generateKeyPair('RS256')).privateKey;
  const changes = {
    nonce: { nonce: 'another' }, issuer: { iss: 'https://altrove.example' }, audience: { aud: 'another' },
    audiences: { aud: [told.client, 'another'] }, party: { azp: 'another' },
    expired: { exp: claims.iat - 600 }, future: { iat: claims.iat + 3600, exp: claims.iat + 7200 }, level: { acr: '0' },
  };
  const said = { ...claims, ...changes[misbehave] };
  if (misbehave === 'nameless') delete said.nonce;
  if (misbehave === 'unsigned') return new UnsecuredJWT(said).encode();
  if (misbehave === 'ours') {
    return new SignJWT(said).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(told.secret));
  }
  const key = misbehave === 'signature' ? other : keys.privateKey;
  return new SignJWT(said).setProtectedHeader({ alg: 'RS256', kid: keys.kid }).sign(key);
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function answer(request, response) {
  // Cookies of the house's time have expired for a browser, which knows the machine's.
  const put = response.setHeader.bind(response);
  const lasting = (line) => (/^[^=]+=[^;]/.test(line) ? line.replace(/; expires=[^;]*/i, '') : line);
  response.setHeader = (name, value) => put(name, name.toLowerCase() === 'set-cookie' ? [value].flat().map(lasting) : value);
  const path = new URL(request.url, issuer).pathname;
  if (path === '/told') {
    const order = JSON.parse(await body(request));
    if ('misbehave' in order) misbehave = order.misbehave;
    if ('now' in order) ahead = order.now - machine();
    if ('down' in order) down = order.down;
    if (order.rotate) provider = await open();
    response.writeHead(204).end();
    return;
  }
  if (down) {
    response.writeHead(503).end('down');
    return;
  }
  if (path.startsWith('/entra/')) {
    await enter(request, response);
    return;
  }
  provider.callback()(request, response);
}

// The page on which one says who one is; the real ones ask for a password, a phone, a card.
async function enter(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(`<!DOCTYPE html><html lang="it"><title>Identità di prova</title><main><h1>Identità di prova</h1>
<form method="post" action="/entra/${details.uid}"><label>Chi sei <input name="chi" value=""></label>
<button name="fai" value="entra">Entra</button> <button name="fai" value="annulla">Annulla</button></form></main></html>`);
    return;
  }
  const fields = new URLSearchParams(await body(request));
  const result = fields.get('fai') === 'annulla'
    ? { error: 'access_denied', error_description: 'turned back' }
    : { login: { accountId: fields.get('chi'), acr: LEVEL } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

provider = await open();
console.log(issuer);
