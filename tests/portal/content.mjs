// What everybody reads and what parents write, looked at by a real browser against a running house (`harness.mjs`). PORTAL says besides:
// username, password.
import { base, enter, finish, press, visit } from './harness.mjs';

await visit('content', async (page, look) => {
  const open = async (path) => { await page.goto(`${base}${path}`); await look(path.split('?').pop()); };
  for (const path of ['/novita', '/novita/menu-invernale', '/calendario', '/calendario?mese=2030-01', '/documenti', '/domande', '/informazioni', '/aiuto']) {
    await open(path);
  }
  await page.goto(`${base}/domande`);
  await press(page, 'summary');
  await look('a question opened');
  await enter(page);
  await look('home with news');
  await open('/messaggi');
  for (const kind of ['generica', 'recapito', 'refezione', 'valutazione']) await open(`/messaggi/nuovo?tipo=${kind}`);
  await page.locator('#voto-4').check();
  await page.evaluate('document.querySelector("main form").noValidate = true');
  await press(page, 'main form button');
  await page.waitForSelector('#problema');
  await look('no service chosen');
  await page.selectOption('#servizio', { index: 1 });
  await page.fill('#testo', 'Buona la zuppa.\n\nGrazie!');
  await press(page, 'main form button');
  await page.waitForSelector('.alert-success');
  await press(page, 'summary');
  await look('a message sent');
});

await finish();
