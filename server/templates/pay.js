// The page of a pay link: reads the link from behind the #, asks what it is for, shows that, and goes to the page of pagoPA.
// Every word stands in the page; what the server answers is put in as text.
'use strict';
(() => {
  const at = (id) => document.getElementById(id);
  const link = () => decodeURIComponent(location.hash.slice(1));
  const show = (state, seen) => {
    const words = document.querySelector(`template[data-state="${state}"]`)
      || document.querySelector('template[data-state="error"]');
    at('page').className = words.dataset.mood;
    at('heading').textContent = words.dataset.heading;
    at('told').textContent = words.dataset.told.replace('{until}', (seen && seen.until) || '');
    for (const place of document.querySelectorAll('[data-field]')) {
      const value = (seen && seen[place.dataset.field]) || '';
      place.textContent = value;
      if (place.parentElement.dataset.row) place.parentElement.hidden = !value;
    }
    at('phone').hidden = !(seen && seen.phone);
    const payable = state === 'open' || state === 'busy';
    at('pay').hidden = !payable;
    at('pay').disabled = false;
    at('elsewhere').hidden = !payable && state !== 'nopage';
    at('shown').hidden = false;
    document.body.dataset.shown = state;
  };
  const ask = async (path) => {
    const answer = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: link() }),
      cache: 'no-store',
      signal: AbortSignal.timeout(20000),
    });
    return answer.json();
  };
  let seen;
  const look = async () => {
    show('loading');
    try {
      seen = await ask('/paga/avviso');
      show(seen.state, seen);
    } catch {
      show('error');
    }
  };
  at('pay').addEventListener('click', async () => {
    at('pay').disabled = true;
    try {
      const page = await ask('/paga/pagina');
      if (page.url) location.assign(page.url);
      else if (page.state === 'nopage') show('nopage', seen);
      else if (page.state === 'inprogress') show('inprogress', { ...seen, until: page.until });
      else if (page.state === 'notpayable') await look();
      else show(page.state);
    } catch {
      show('error');
    }
  });
  addEventListener('hashchange', look);
  // Back from pagoPA by the browser's own button: how it stands now.
  addEventListener('pageshow', (event) => { if (event.persisted) look(); });
  look();
})();
