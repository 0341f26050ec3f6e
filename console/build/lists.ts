// Writes the lists that the pages choose from: the catalogue of Service Reference Variants and the functional components, out of the files
// that the server is built from, so that both know the same.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

const table = read("crates/model/src/catalogue/table.rs");
const variants = [...table.matchAll(/row\(\((\d+), (\d+), (\d+)\), "((?:[^"\\]|\\.)*)"/g)].map(([, a, b, c, name]) => ({
  // A third part of zero is not written.
  number: c === "0" ? `${a}.${b}` : `${a}.${b}.${c}`,
  name,
}));
const components = [...read("schemas/job_type_roles.toml").matchAll(/^name = "(.*)"\nuse_cases = \[(.*)\]/gm)].map(([, name, cases]) => ({
  name,
  useCases: [...(cases ?? "").matchAll(/"([^"]*)"/g)].map(([, useCase]) => useCase),
}));
if (variants.length < 100 || components.length < 15) {
  throw new Error(`the lists are not as they were: ${variants.length} variants, ${components.length} components`);
}
mkdirSync(join(root, "console/src/gen"), { recursive: true });
writeFileSync(
  join(root, "console/src/gen/lists.ts"),
  `export const VARIANTS: readonly { number: string; name: string }[] = ${JSON.stringify(variants, null, 2)};\n` +
    `export const COMPONENTS: readonly { name: string; useCases: readonly string[] }[] = ${JSON.stringify(components, null, 2)};\n`,
);
