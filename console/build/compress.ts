// Compresses the built files beside themselves, for browsers to be sent at once, and says what a first visit loads.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** Most bytes of scripts and styles, compressed with gzip. */
const BYTES_MAX = 250 * 1024;

const folder = process.argv[2];
if (!folder) {
  throw new Error("which folder?");
}
const sums = { plain: 0, gzip: 0, brotli: 0 };
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) {
    continue;
  }
  const path = join(entry.parentPath, entry.name);
  const plain = readFileSync(path);
  const gzip = gzipSync(plain, { level: 9 });
  const brotli = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  writeFileSync(`${path}.gz`, gzip);
  writeFileSync(`${path}.br`, brotli);
  if (/\.(js|css)$/.test(entry.name)) {
    sums.plain += plain.length;
    sums.gzip += gzip.length;
    sums.brotli += brotli.length;
  }
}
const kib = (bytes: number) => (bytes / 1024).toFixed(1);
console.log(`console: scripts and styles ${kib(sums.plain)} KiB, ${kib(sums.gzip)} KiB with gzip, ${kib(sums.brotli)} KiB with Brotli`);
if (sums.gzip > BYTES_MAX) {
  throw new Error(`the scripts and styles of the console are above ${kib(BYTES_MAX)} KiB with gzip`);
}
