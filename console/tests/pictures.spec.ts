// Pictures of the pages for docs/console.md, of generated data. They are taken where they are asked for: GRIDTRAIL_PICTURES=yes scripts/browser -g pictures

import { expect, type Page, test } from "@playwright/test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { comeIn, enterDetails, person } from "./pages.ts";
import { consoleArgs, end, freePort, run, serve, stage as readStage, takeInBadRecords } from "./stage.ts";

const FOLDER = join(import.meta.dirname, "../../docs/console");

/** What a page looks like, as WebP. */
async function take(page: Page, name: string): Promise<void> {
  const png = (await page.screenshot()).toString("base64");
  // Apart from the page, whose policy lets it do no such thing.
  const canvas = await page.context().newPage();
  const webp = await canvas.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const drawn = new OffscreenCanvas(bitmap.width, bitmap.height);
    drawn.getContext("2d")?.drawImage(bitmap, 0, 0);
    const bytes = new Uint8Array(await (await drawn.convertToBlob({ type: "image/webp", quality: 0.8 })).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }, png);
  await canvas.close();
  writeFileSync(join(FOLDER, `${name}.webp`), Buffer.from(webp, "base64"));
}

test("pictures of every page", async ({ page }) => {
  test.skip(!process.env.GRIDTRAIL_PICTURES, "pictures are taken where they are asked for");
  const stage = readStage();
  mkdirSync(FOLDER, { recursive: true });
  await page.setViewportSize({ width: 1280, height: 1000 });
  await page.goto(stage.url);
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await take(page, "log-in");
  await comeIn(page, stage, person(stage.first, "fay", "role-01"));
  await take(page, "first-log-in");
  await enterDetails(page, { firstName: "Fay", lastName: "Example", email: "fay@supplier.example", telephone: "020 7946 0000" });
  await expect(page.getByRole("navigation")).toBeVisible();
  await take(page, "home");
  for (const [name, path, text] of [
    ["audit", `/audit?device=${stage.device}`, "Version of the data"],
    ["meter-reads", `/meter-reads?mpxn=${stage.mpxn}&srv=4.8.1`, "Version of the data"],
    ["inventory", `/inventory?mpxn=${stage.mpxn}`, "Version of the data"],
    ["device", `/devices/${stage.device}`, "Devices around it"],
    ["hub", `/hub?device=${stage.hub}`, "Version of the data"],
    ["freshness", "/freshness", "Day by day, in UTC"],
    ["reports", "/reports", "Monthly Transaction Report"],
    ["report", "/reports/monthly-transactions?month=2026-03&run=yes", "About this report"],
    ["calls", "/calls", "Your calls"],
    ["profile", "/profile", "What your roles allow"],
  ] as const) {
    await page.goto(stage.url + path);
    await expect(page.getByText(text).first()).toBeVisible();
    await take(page, name);
  }
  await page.goto(`${stage.url}/audit?device=${stage.device}`);
  await page.getByRole("link", { name: /row of \d/ }).first().click();
  await expect(page.getByText("Status Change History")).toBeVisible();
  await page.evaluate(() => {
    scrollTo(0, 0);
    document.querySelector(".table")?.scrollTo(0, 0);
  });
  await take(page, "details");
  await page.emulateMedia({ colorScheme: "dark" });
  await take(page, "details-dark");
});

test("pictures of every page of operators", async ({ page }) => {
  test.skip(!process.env.GRIDTRAIL_PICTURES, "pictures are taken where they are asked for");
  const stage = readStage();
  const at = (name: string) => join(stage.folder, name);
  takeInBadRecords(stage.folder);
  const token = run("operator", "token", "--key", at("operators.pem"), "--public-key-out", at("operators.pub.pem"), "--name", "j.smith").trim();
  const { server, url } = await serve([...consoleArgs(stage.folder, await freePort()), "--operators", at("operators.pub.pem")]);
  try {
    await page.setViewportSize({ width: 1280, height: 1000 });
    for (const [name, path, text] of [
      ["operators-lake", "/operators/lake", "Months of the main table"],
      ["operators-dead-letters", "/operators/dead-letters", "all that there are"],
      ["operators-reconciliation", "/operators/reconciliation", "Clean: every position"],
    ] as const) {
      await page.goto(url + path);
      await page.getByLabel("Operator’s token").fill(token);
      await page.getByRole("button", { name: "Go on" }).click();
      await expect(page.getByText(text).first()).toBeVisible();
      if (name === "operators-dead-letters") {
        await page.getByRole("link", { name: /^Open/ }).first().click();
        await page.getByRole("button", { name: "Show the record in hexadecimal digits" }).click();
        await expect(page.locator("pre")).toBeVisible();
      }
      await take(page, name);
    }
  } finally {
    await end(server);
  }
});
