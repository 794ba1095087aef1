// Makes what the portal's pages load: Bootstrap Italia cut down to what the templates use, with styles of our own behind it; the icons
// they name; htmx with its extension for server-sent events; the fonts. The results are committed: who builds the server needs no
// Node.js. Run after a change of templates or of portal.own.css:
//
//     cd server/assets && npm install --ignore-scripts && node build.mjs
import { readFileSync, writeFileSync, copyFileSync, readdirSync } from 'node:fs';
import { PurgeCSS } from 'purgecss';
import CleanCSS from 'clean-css';
import { Resvg } from '@resvg/resvg-js';

const from = (path) => `node_modules/${path}`;
const templates = readdirSync('../templates/portal').map((name) => `../templates/portal/${name}`);

const [cut] = await new PurgeCSS().purge({
  content: templates,
  css: [from('bootstrap-italia/dist/css/bootstrap-italia.min.css')],
  // Fonts are ours, by faces of our own; what scripts of Bootstrap would add is not used.
  fontFace: true,
  keyframes: true,
  variables: true,
});
const own = readFileSync('portal.own.css', 'utf8');
const css = new CleanCSS({ level: 2 }).minify(cut.css.replace(/@font-face\{[^}]*\}/g, '') + own);
writeFileSync('portal.css', `/* Bootstrap Italia 2.18.3 (BSD-3-Clause, see LICENSES.txt), cut; and styles of the portal's own. */\n${css.styles}\n`);

const sprite = readFileSync(from('bootstrap-italia/dist/svg/sprites.svg'), 'utf8');
const icons = {
  ok: 'it-check-circle', wait: 'it-clock', stop: 'it-warning-circle', info: 'it-info-circle',
};
const symbols = Object.entries(icons).map(([name, id]) => {
  const found = sprite.match(new RegExp(`<(symbol|svg)[^>]*id="${id}"[^>]*>([\\s\\S]*?)</\\1>`));
  const box = found[0].match(/viewBox="([^"]*)"/)?.[1] ?? '0 0 24 24';
  return `<symbol id="${name}" viewBox="${box}">${found[2].replace(/ (class|fill)="[^"]*"/g, '')}</symbol>`;
});
// Services have no icons there: these are drawn here, in lines.
const drawn = {
  canteen: '<path d="M6 3v7a2 2 0 0 0 2 2v9M10 3v7a2 2 0 0 1-2 2M8 3v6M17 3c-2 1-3 4-3 7v3h3v8"/>',
  transport: '<path d="M4 6a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2v11H4zM4 12h16M8 4v8M16 4v8M6 17v2M18 17v2"/>',
  before: '<path d="M3 18h18M6 18a6 6 0 0 1 12 0M12 4v4M5 9l2 2M19 9l-2 2"/>',
  after: '<path d="M12 3l9 5-9 5-9-5zM6 10v5c0 2 12 2 12 0v-5"/>',
  nursery: '<path d="M12 3a4 4 0 0 1 4 4v2H8V7a4 4 0 0 1 4-4zM5 9h14l-2 9a3 3 0 0 1-3 3h-4a3 3 0 0 1-3-3z"/>',
};
for (const [name, path] of Object.entries(drawn)) {
  symbols.push(`<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">${path}</symbol>`);
}
writeFileSync('icons.svg', `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join('')}</svg>\n`);

// The purse on a parent's home screen: drawn here, full to the edge, so that a phone may cut it to its own shape.
const purse = '<rect width="512" height="512" fill="#0059b3"/>'
  + '<g fill="none" stroke="#fff" stroke-width="26" stroke-linejoin="round" stroke-linecap="round">'
  + '<path d="M136 204h240a28 28 0 0 1 28 28v132a28 28 0 0 1-28 28H136a28 28 0 0 1-28-28V180a36 36 0 0 1 36-36h196v60"/></g>'
  + '<circle cx="340" cy="298" r="24" fill="#f0b400"/>';
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">${purse}</svg>\n`;
writeFileSync('icon.svg', icon);
for (const side of [180, 192, 512]) {
  writeFileSync(`icon-${side}.png`, new Resvg(icon, { fitTo: { mode: 'width', value: side } }).render().asPng());
}

const script = (path) => readFileSync(from(path), 'utf8').trim();
writeFileSync('htmx.js', `/* htmx ${JSON.parse(script('htmx.org/package.json')).version} and htmx-ext-sse ${JSON.parse(script('htmx-ext-sse/package.json')).version} (0BSD) */\n${script('htmx.org/dist/htmx.min.js')}\n${script('htmx-ext-sse/dist/sse.min.js')}\n`);
for (const weight of [400, 600, 700]) {
  copyFileSync(from(`@fontsource/titillium-web/files/titillium-web-latin-${weight}-normal.woff2`), `titillium-${weight}.woff2`);
}
console.log(`portal.css ${css.styles.length} bytes`);
