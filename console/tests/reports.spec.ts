// The standard reports, as a person makes them.

import { expect, test } from "@playwright/test";
import { readFileSync } from "node:fs";
import { expectAccessible, logIn, person, watch } from "./pages.ts";
import { stage as readStage } from "./stage.ts";

const stage = readStage();
const ann = person(stage.first, "ann", "role-01");
/** Whose role has no reports. */
const ben = person(stage.second, "ben", "role-03");

let complaints: string[] = [];
test.beforeEach(({ context }) => {
  complaints = [];
  watch(context, complaints);
});
test.afterEach(() => expect(complaints).toEqual([]));

test("all ten reports are there, each with its parameters, and what it says", async ({ page }) => {
  await logIn(page, stage, ann, "/reports");
  const links = page.locator(".cards").getByRole("link");
  await expect(links).toHaveCount(10);
  const paths = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""));
  for (const path of paths) {
    await page.goto(stage.url + path);
    await expect(page.getByRole("button", { name: "Make the report" })).toBeVisible();
    await page.getByText("What this report says, and what it does not").click();
    await expect(page.getByRole("table", { name: "What the columns say" })).toBeVisible();
    await expectAccessible(page);
  }
});

test("a report is made, shown with its picture, an address, and saved in every format", async ({ page }) => {
  await logIn(page, stage, ann, "/reports/monthly-transactions");
  await page.getByLabel("Month").fill("2026-03");
  await page.getByRole("button", { name: "Make the report" }).click();
  await expect(page).toHaveURL(`${stage.url}/reports/monthly-transactions?month=2026-03&run=yes`);
  const table = page.getByRole("table", { name: "Monthly Transaction Report" });
  await expect(table).toBeVisible();
  const rows = table.locator("tbody tr");
  const count = await rows.count();
  expect(count).toBeGreaterThan(0);
  await expect(page.getByRole("status").filter({ hasText: "rows" })).toContainText(`${count} rows`);
  await expect(page.locator("svg.picture")).toHaveAttribute("aria-label", /for each/);
  expect(await page.locator("svg.picture rect").count()).toBeGreaterThan(0);
  for (const id of stage.first.userIds) {
    await expect(page.getByText(id).first()).toBeAttached();
  }
  await expectAccessible(page);
  const files = new Map<string, Buffer>();
  for (const [name, ending] of [["CSV", "csv"], ["Workbook (XLSX)", "xlsx"], ["Page (HTML)", "html"], ["JSON", "json"], ["Parquet", "parquet"]] as const) {
    const saving = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save as ${name}` }).click();
    const file = await saving;
    expect(file.suggestedFilename()).toMatch(new RegExp(`^monthly-transactions-\\d{4}-\\d\\d-\\d\\d\\.${ending}$`));
    files.set(ending, readFileSync(await file.path()));
    await expect(page.getByText("The file is made")).toBeVisible();
  }
  expect(files.get("csv")?.toString().trim().split("\n")).toHaveLength(count + 1);
  expect(files.get("html")?.toString()).toContain("<title>Monthly Transaction Report</title>");
  expect(JSON.stringify(JSON.parse(files.get("json")?.toString() ?? ""))).toContain("monthly-transactions");
  expect(files.get("xlsx")?.subarray(0, 2).toString()).toBe("PK");
  expect(files.get("parquet")?.subarray(0, 4).toString()).toBe("PAR1");
  // The address makes it again, also for whoever it is sent to.
  await page.reload();
  await expect(rows).toHaveCount(count);
});

test("a report that takes long can be stopped, and one that is asked for wrongly says what is wrong", async ({ page }) => {
  await logIn(page, stage, ann, "/reports/monthly-transactions");
  const run = "**/gridtrail.query.v1.ReportService/Run";
  await page.route(run, () => {
    // It is never answered.
  });
  await page.getByRole("button", { name: "Make the report" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("You stopped this.")).toBeVisible();
  await page.unroute(run);
  await page.getByRole("button", { name: "Start again" }).click();
  await expect(page.getByRole("heading", { name: "About this report" })).toBeVisible();
  await page.goto(`${stage.url}/reports/monthly-transactions?month=March&run=yes`);
  await expect(page.getByRole("alert")).toContainText("HTTP code 400");
  await page.goto(`${stage.url}/reports/none`);
  await expect(page.getByRole("alert")).toContainText("HTTP code 404");
});

test("whose role has no reports is offered none, and refused", async ({ page }) => {
  await logIn(page, stage, ben);
  await expect(page.getByRole("navigation").getByRole("link", { name: "Reports" })).toHaveCount(0);
  await page.goto(`${stage.url}/reports`);
  await expect(page.getByRole("alert")).toContainText("HTTP code 403");
});
