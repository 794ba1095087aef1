// What saves a parent waiting or typing. Every page does its work without it.
'use strict';
(() => {
  const language = document.documentElement.lang || 'it';
  const euros = (cents) => {
    const text = new Intl.NumberFormat(language === 'en' ? 'en-GB' : 'de-DE', { minimumFractionDigits: 2 }).format(Math.abs(cents) / 100);
    const sign = cents < 0 ? '-' : '';
    return language === 'en' ? `${sign}€${text}` : `${sign}${text} €`;
  };
  // As the server reads it: 12,50 or 12.50; anything else counts nothing here, and is refused there.
  const typed = (text) => {
    const found = /^\s*(\d{1,7})(?:[.,](\d{1,2}))?\s*€?\s*$/.exec(text);
    return found ? Number(found[1]) * 100 + Number((found[2] || '0').padEnd(2, '0')) : 0;
  };
  for (const form of document.querySelectorAll('form[data-totale]')) {
    const add = () => {
      let sum = 0;
      let owed = 0;
      for (const tick of form.querySelectorAll('input[data-cent]:checked')) {
        sum += Number(tick.dataset.cent);
        if ('dovuto' in tick.dataset) owed += Number(tick.dataset.cent);
      }
      for (const radio of form.querySelectorAll('input[type="radio"]:checked')) {
        const own = form.querySelector(`input[data-altro="${radio.id}"]`);
        sum += own ? typed(own.value) : Number(radio.value) || 0;
      }
      for (const output of form.querySelectorAll('output[data-somma]')) output.textContent = euros(sum);
      for (const output of form.querySelectorAll('output[data-resto]')) output.textContent = euros(owed - Number(output.dataset.resto));
    };
    form.addEventListener('input', (event) => {
      const field = event.target;
      if (field.dataset.altro) form.querySelector(`#${CSS.escape(field.dataset.altro)}`).checked = true;
      if (field.type === 'radio' && field.value !== 'altro') {
        for (const other of field.closest('fieldset').querySelectorAll('input[data-altro]')) other.value = '';
      }
      add();
    });
    add();
  }
  // A second tap on a button that is at work does nothing; the server would do it once anyway.
  // A form that fetches a file leaves the page where it is, and may be sent again.
  for (const form of document.querySelectorAll('form[method="post"]:not([data-scarica])')) {
    form.addEventListener('submit', (event) => {
      if (form.dataset.inviato) event.preventDefault();
      form.dataset.inviato = 'si';
    });
  }
  addEventListener('pageshow', () => {
    for (const form of document.querySelectorAll('form[data-inviato]')) delete form.dataset.inviato;
  });
  const words = { it: ['Copia', 'Copiato'], en: ['Copy', 'Copied'], de: ['Kopieren', 'Kopiert'] }[language] || ['Copia', 'Copiato'];
  if (navigator.clipboard) {
    for (const place of document.querySelectorAll('[data-copia]')) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'btn btn-outline-primary';
      button.textContent = words[0];
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(place.dataset.copia);
        button.textContent = words[1];
      });
      place.append(button);
    }
  }
  // On a device of the parent's own, the last balances and notices can be read without a network.
  const { lavoro, portale } = document.documentElement.dataset;
  if (lavoro && navigator.serviceWorker) {
    navigator.serviceWorker.register(lavoro, { scope: portale }).then(async () => {
      const { active } = await navigator.serviceWorker.ready;
      if (!navigator.serviceWorker.controller) active.postMessage('keep');
      // A payment that settles under the parent's eyes.
      document.addEventListener('htmx:sseMessage', () => active.postMessage('keep'));
    }, () => {});
  }
  // The notice that was asked for, on the page that is kept of all.
  const asked = /\/avviso\/(\d{18})/.exec(location.pathname);
  if (asked) document.getElementById(`avviso-${asked[1]}`)?.focus();
  // Where something went wrong is where the eye and the screen reader go first.
  document.getElementById('problema')?.focus();
})();
