// Operators' pages: opened by an operator's token, apart from what Users see.

import { expect, type Page, test } from "@playwright/test";
import { readFileSync } from "node:fs";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { expectAccessible, expectFits, logIn, person, watch } from "./pages.ts";
import { consoleArgs, end, freePort, run, serve, stage as readStage, takeInBadRecords } from "./stage.ts";

const stage = readStage();
const ann = person(stage.first, "ann", "role-01");
const at = (name: string) => join(stage.folder, name);
const lake = at("lake");

let complaints: string[] = [];
let operators: { url: string; server: ChildProcess };

function token(name: string): string {
  return run("operator", "token", "--key", at("operators.pem"), "--public-key-out", at("operators.pub.pem"), "--name", name).trim();
}

test.beforeAll(async () => {
  token("nobody");
  takeInBadRecords(stage.folder);
  operators = await serve([...consoleArgs(stage.folder, await freePort()), "--operators", at("operators.pub.pem")]);
});
test.afterAll(() => end(operators.server));
test.beforeEach(({ context }) => {
  complaints = [];
  watch(context, complaints);
});
test.afterEach(() => expect(complaints).toEqual([]));

async function enter(page: Page, given: string, path = "/operators"): Promise<void> {
  await page.goto(operators.url + path);
  await page.getByLabel("Operator’s token").fill(given);
  await page.getByRole("button", { name: "Go on" }).click();
}

const rows = (page: Page, name: string | RegExp) => page.getByRole("table", { name }).locator("tbody tr");

test("nobody but an operator comes in, and a log-in counts for nothing", async ({ page, context }) => {
  await logIn(page, { ...stage, url: operators.url }, ann);
  await page.goto(`${operators.url}/operators/lake`);
  await expect(page.getByLabel("Operator’s token")).toBeVisible();
  await expect(page.getByRole("navigation")).toHaveCount(0);
  await expectAccessible(page);
  await expectFits(page, 320);
  await enter(page, readFileSync(at("me.jwt"), "utf8").trim());
  await expect(page.getByRole("alert")).toContainText("it is a token of another kind");
  await expect(page.getByRole("alert")).toContainText("HTTP code 401");
  await expectAccessible(page);
  await enter(page, token("j.smith"), "/operators/lake");
  await expect(rows(page, "Tables").first()).toBeVisible();
  const kept = await page.evaluate(() => [...Object.values(localStorage), ...Object.values(sessionStorage)].join());
  expect(kept, "the token is in a variable alone").not.toContain("eyJ");
  expect((await context.cookies()).map(({ name }) => name)).toEqual(["__Host-gridtrail"]);
  await page.getByRole("button", { name: "Forget the token" }).click();
  await expect(page.getByLabel("Operator’s token")).toBeVisible();
  await enter(page, token("j.smith"));
  await expect(page.getByRole("navigation")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Operator’s token"), "a page that is loaded anew has forgotten it").toBeVisible();
  // A token of an operator opens no page of a User.
  await page.goto(operators.url);
  await expect(page.getByText("Search the service audit trail")).toBeVisible();
});

test("an operator sees the lake, how fresh it is, and what became of every position", async ({ page }) => {
  await enter(page, token("j.smith"));
  await expect(page.locator(".cards").getByRole("link")).toHaveCount(3);
  await expectAccessible(page);
  await page.getByRole("navigation").getByRole("link", { name: "Lake" }).click();
  const status = JSON.parse(run("lake", "status", "--lake", lake, "--format", "json")) as { tables: { table: string; files: number }[] };
  await expect(rows(page, "Tables").locator("td:first-child")).toHaveText(status.tables.map(({ table }) => table));
  await expect(rows(page, "Months of the main table").first()).toBeVisible();
  await expect(rows(page, "Sources").first()).toBeVisible();
  await expectAccessible(page);
  await expectFits(page, 320);

  await page.getByRole("navigation").getByRole("link", { name: "Reconciliation" }).click();
  await expect(page.getByText("Clean: every position is accounted for")).toBeVisible();
  const proof = JSON.parse(run("reconcile", "--lake", lake, "--format", "json")) as { sources: { name: string; records: number }[] };
  await expect(rows(page, "Sources")).toHaveCount(Math.min(50, proof.sources.length));
  await expectAccessible(page);
  await expectFits(page, 320);
  await page.getByRole("button", { name: "Prove it anew" }).click();
  await expect(page.getByText("Clean: every position is accounted for")).toBeVisible();
});

test("dead letters are found by their reason, and their bytes are digits, on request alone", async ({ page }) => {
  await enter(page, token("k.jones"), "/operators/dead-letters");
  await expect(rows(page, "Dead letters").filter({ hasText: "bad.jsonl@0" })).toHaveCount(1);
  await expectAccessible(page);
  await expectFits(page, 320);
  await page.getByLabel("The source holds").fill("bad.jsonl");
  await page.getByRole("button", { name: "Look" }).click();
  await expect(page).toHaveURL(/source=bad\.jsonl/);
  await expect(rows(page, "Dead letters")).toHaveCount(2);
  await page.getByLabel("The reason holds").fill("no reason holds this");
  await page.getByRole("button", { name: "Look" }).click();
  await expect(page.getByText("There is no dead letter that the filter lets through.")).toBeVisible();
  await page.goBack();
  await rows(page, "Dead letters").first().getByRole("link", { name: /Open/ }).click();
  const panel = page.getByRole("complementary", { name: "Dead letter" });
  await expect(panel.getByRole("heading", { name: "Dead letter" })).toBeFocused();
  await expect(panel.getByText("bad.jsonl@0")).toBeVisible();
  await expect(panel.locator("pre")).toHaveCount(0);
  await expectAccessible(page);
  await panel.getByRole("button", { name: "Show the record in hexadecimal digits" }).click();
  await expect(panel.locator("pre")).toContainText("6e 6f 20 65 76 65 6e 74");
  await expect(page.locator("img")).toHaveCount(0);
  await expectAccessible(page);
  await expectFits(page, 320);
  await panel.getByRole("link", { name: "Close" }).click();
  await expect(panel).toHaveCount(0);
  // The record is written once a second.
  const by = () =>
    (JSON.parse(run("access", "log", "--lake", lake, "--subject", "k.jones", "--format", "json")) as { call: string; key_kind?: string; party?: string }[]).filter(
      ({ call }) => call === "OperatorService.GetDeadLetter",
    );
  await expect.poll(() => by().map((call) => call.key_kind)).toEqual(["dead_letter", "dead_letter_record"]);
  expect(by().every(({ party }) => party === undefined)).toBe(true);
});

test("a server that was not started for operators offers them nothing", async ({ page }) => {
  await page.goto(`${stage.url}/operators`);
  await page.getByLabel("Operator’s token").fill(token("j.smith"));
  await page.getByRole("button", { name: "Go on" }).click();
  await expect(page.getByRole("alert")).toContainText("This server does not offer this");
  await expect(page.getByRole("alert")).toContainText("HTTP code 501");
});
