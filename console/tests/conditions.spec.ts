// The console with a thousand rows, by a slow server, at four times its size, and on paper.

import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectFits, logIn, person, watch } from "./pages.ts";
import { stage as readStage } from "./stage.ts";

const stage = readStage();
const ann = person(stage.first, "ann", "role-01");
const { busy } = stage;
const rows = (page: Page) => page.getByRole("table").locator("tbody tr");

let complaints: string[] = [];
test.beforeEach(({ context }) => {
  complaints = [];
  watch(context, complaints);
});
test.afterEach(() => expect(complaints).toEqual([]));

test("a page of a thousand rows is shown, read by others and saved whole, and goes on", async ({ page }) => {
  await logIn(page, stage, ann, `/audit?device=${busy.device}`);
  await page.getByLabel("Rows a page").selectOption("1000");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/rows=1000/);
  await expect(rows(page)).toHaveCount(1_000);
  await expectFits(page, 320);
  await page.getByRole("button", { name: "Load more" }).click();
  await expect(rows(page)).toHaveCount(busy.rows);
  await expect(page.getByText(`${busy.rows} rows: all that there are.`)).toBeVisible();
  const counters = await rows(page).evaluateAll((all) => new Set(all.map((row) => row.textContent)).size);
  expect(counters, "no row is there twice").toBe(busy.rows);
  await rows(page).last().getByRole("link", { name: /Full details/ }).click();
  await expect(page.getByText("Status Change History", { exact: true })).toBeVisible();
});

test("a slow server holds nobody up: what is awaited is told, left and come back to", async ({ page }) => {
  await logIn(page, stage, ann);
  const held: (() => Promise<void>)[] = [];
  const calls = "**/gridtrail.query.v1.*/*";
  await page.route(calls, (route) => void held.push(() => route.continue()));
  await page.goto(`${stage.url}/audit?device=${stage.device}`);
  await expect(page.getByText("Looking who you are …")).toBeVisible();
  await expect.poll(() => held.length).toBe(1);
  await held[0]?.();
  await expect(page.getByText("Searching …")).toBeVisible();
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
  await expectAccessible(page);
  // Another page, and another search, while the first is on its way.
  await page.getByRole("navigation").getByRole("link", { name: "Freshness" }).click();
  await expect(page.getByText("Asking how fresh the data are …")).toBeVisible();
  await page.goBack();
  await page.getByLabel("MPxN, Device GUID or UPRN").fill(busy.device);
  await page.getByRole("button", { name: "Search" }).click();
  await expect.poll(() => held.length).toBeGreaterThanOrEqual(5);
  await page.unroute(calls);
  // The late answers come last to first: the question before is never shown under the address of the next.
  await Promise.allSettled(held.toReversed().map((goOn) => goOn()));
  await expect(rows(page)).toHaveCount(50);
  await expect(page.getByRole("table", { name: new RegExp(busy.device) })).toBeVisible();
});

test("at 400 % in a window of 1280 pixels a search and its details need no second scroll bar", async ({ page, context }) => {
  await logIn(page, stage, ann);
  const session = await context.newCDPSession(page);
  await session.send("Emulation.setDeviceMetricsOverride", { width: 320, height: 256, deviceScaleFactor: 4, mobile: false });
  const expectOneScrollBar = async () => {
    expect(await page.evaluate(() => document.documentElement.scrollWidth), page.url()).toBeLessThanOrEqual(320);
  };
  await expectOneScrollBar();
  await page.getByLabel(/Search the service audit trail/).fill(stage.device);
  await page.keyboard.press("Enter");
  await expect(rows(page).first()).toBeVisible();
  await expectOneScrollBar();
  await rows(page).first().getByRole("link", { name: /Full details/ }).press("Enter");
  await expect(page.getByRole("heading", { name: "Full details" })).toBeFocused();
  await expect(page.getByRole("heading", { name: "Full details" })).toBeInViewport();
  await expect(page.getByText("Status Change History", { exact: true })).toBeVisible();
  await expectOneScrollBar();
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await expect(rows(page).first().getByRole("link", { name: /Full details/ })).toBeFocused();
  for (const [path, text] of [
    [`/devices/${stage.device}`, "SMI Status history"],
    ["/freshness", "Day by day, in UTC"],
    ["/calls", "Your calls"],
    ["/profile", "What your roles allow"],
  ] as const) {
    await page.goto(stage.url + path);
    await expect(page.getByText(text).first()).toBeVisible();
    await expectOneScrollBar();
  }
});

test("on paper there is what was found, dark on light, and nothing to click", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await logIn(page, stage, ann, `/audit?device=${busy.device}&rows=200`);
  await expect(rows(page)).toHaveCount(200);
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await expect(rows(page).last()).toBeVisible();
  await expect(page.getByText("Version of the data")).toBeVisible();
  for (const hidden of [page.getByRole("navigation"), page.getByRole("search"), page.getByRole("button")]) {
    await expect(hidden).toHaveCount(0);
  }
  const [ground, ink] = await page.evaluate(() => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    return [backgroundColor, color];
  });
  expect([ground, ink]).toEqual(["rgb(255, 255, 255)", "rgb(0, 0, 0)"]);
  const cut = await page.locator(".table").evaluateAll((tables) => tables.filter((table) => getComputedStyle(table).overflowX !== "visible").length);
  expect(cut, "no table scrolls on paper").toBe(0);
  // A sheet of A4 has no room for 200 rows.
  const pdf = (await page.pdf({ format: "A4", landscape: true })).toString("latin1");
  expect([...pdf.matchAll(/\/Type\s*\/Page\b/g)].length).toBeGreaterThan(3);
});
