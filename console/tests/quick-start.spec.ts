// The quick start of docs/api.md, as it stands there.

import { expect, test } from "@playwright/test";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stage as readStage } from "./stage.ts";

const stage = readStage();
const root = join(import.meta.dirname, "../..");

test("the quick start in TypeScript generates, connects over TLS, searches and reads the details of errors", () => {
  // In a tree like the repository's, so that nothing is written into that.
  const copy = join(stage.folder, "quick-start");
  const example = join(copy, "docs/examples/typescript");
  mkdirSync(join(copy, "console"), { recursive: true });
  cpSync(join(root, "docs/examples/typescript"), example, { recursive: true });
  cpSync(join(root, "proto"), join(copy, "proto"), { recursive: true });
  cpSync(join(root, "console/proto"), join(copy, "console/proto"), { recursive: true });
  symlinkSync(join(root, "console/node_modules"), join(example, "node_modules"));
  const run = (command: string, ...args: string[]) => spawnSync(command, args, { cwd: example, encoding: "utf8" });
  const generated = run("npx", "--no-install", "buf", "generate");
  expect(generated.status, generated.stderr).toBe(0);
  const search = (token: string, device: string) => run("node", "search.ts", stage.url, join(stage.folder, "tls.pem"), token, device);
  const found = search(join(stage.folder, "me.jwt"), stage.device);
  expect(found.stderr).toBe("");
  const rows = found.stdout.trim().split("\n");
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.every((row) => row.split("\t").length === 4 && row.includes(stage.first.userIds[0] ?? "?"))).toBe(true);
  const wrong = search(join(stage.folder, "me.jwt"), "no-device");
  expect(wrong.status).toBe(1);
  expect(wrong.stderr).toContain("INVALID_REQUEST, HTTP 400");
  expect(wrong.stderr).toContain("device_id:");
  const none = join(stage.folder, "none.jwt");
  writeFileSync(none, "none");
  expect(search(none, stage.device).stderr).toContain("NO_IDENTITY, HTTP 401");
});
