// Bundles the page into dist/: index.html and assets/ with hashed names. `node build.mjs [OUTDIR]`.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, 'dist'));
const assets = join(out, 'assets');
const LIMIT = 200_000; // bytes of the first load, gzip; docs: "under 200 kB compressed"

await rm(out, { recursive: true, force: true });
await mkdir(assets, { recursive: true });

const result = await build({
  entryPoints: [join(here, 'src/main.ts'), join(here, 'src/style.css')],
  absWorkingDir: here,
  outdir: assets,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022', 'chrome100', 'firefox100', 'safari15.4'],
  entryNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  loader: { '.woff2': 'file' },
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});

const names = {};
for (const [file, info] of Object.entries(result.metafile.outputs)) {
  if (info.entryPoint) names[info.entryPoint.split('/').pop()] = `assets/${file.split('/').pop()}`;
}
const icon = await readFile(join(here, 'src/icon.svg'));
names['icon.svg'] = `assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`;
await writeFile(join(out, names['icon.svg']), icon);

let html = await readFile(join(here, 'src/index.html'), 'utf8');
for (const [key, name] of Object.entries(names)) html = html.replaceAll(`{{${key}}}`, name);
if (html.includes('{{')) throw new Error('src/index.html names an asset that the build does not make');
await writeFile(join(out, 'index.html'), html);

// The licences of what is bundled go with it.
const notices = [];
for (const [pkg, file] of [
  ['lightweight-charts', 'LICENSE'],
  ['lightweight-charts', 'NOTICE'],
  ['fancy-canvas', 'LICENSE'],
  ['uplot', 'LICENSE'],
  ['@fontsource-variable/inter', 'LICENSE'],
]) {
  const text = await readFile(join(here, 'node_modules', pkg, file), 'utf8').catch(() => '');
  if (text) notices.push(`==== ${pkg}: ${file} ====\n\n${text.trim()}\n`);
}
await writeFile(join(assets, 'licenses.txt'), notices.join('\n'));

let total = gzipSync(html).length;
for (const name of await readdir(assets)) {
  if (name === 'licenses.txt') continue;
  const bytes = await readFile(join(assets, name));
  total += name.endsWith('.woff2') ? bytes.length : gzipSync(bytes, { level: 9 }).length;
}
console.log(`page: ${total} bytes compressed for the first load (limit ${LIMIT}) in ${out}`);
if (total > LIMIT) {
  console.error('the page is too large; see the figure above');
  process.exit(1);
}
