// The reports as pages, which the command writes: opened from disk in a browser, without a server, printed, and looked at by axe-core.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "@playwright/test";
import { ALL, Axe } from "./axe.ts";
import { type Stage, stage as readStage } from "./stage.ts";

/** What is said of a report, as far as a page shows it. */
interface Described {
  name: string;
  title: string;
  columns: { name: string }[];
  chart: { title: string } | null;
}

const run = (...args: string[]) => execFileSync(process.env.GRIDTRAIL_BINARY ?? "", args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** Parameters by which a report is about the days of the stage. */
function given(report: string, { device }: Stage): string[] {
  const days = ["from=2026-03-01", "until=2026-03-28"];
  const pairs: Record<string, string[]> = {
    "monthly-transactions": ["month=2026-03"],
    "load-balance": days,
    "device-transactions": [`device_id=${device}`, ...days],
    "firmware-activations": days,
    "scheduled-service-requests": days,
  };
  return (pairs[report] ?? []).flatMap((pair) => ["--param", pair]);
}

/** Has the command make a report of all that the first supplier may see, and says where the page is. */
function made(report: string, stage: Stage, folder: string): string {
  const at = (name: string) => join(stage.folder, name);
  const token = run("token", "--key", at("dev.pem"), "--party", stage.first.party, "--role", "role-01", "--user-id", stage.first.userIds.slice(0, 60).join(",")).trim();
  const path = join(folder, `${report}.html`);
  run("report", "run", report, "--lake", at("lake"), "--key", at("dev.pem"), "--token", token, "--read-only", "--format", "html", "--output", path, ...given(report, stage));
  return path;
}

/** How many pages a PDF has. */
const pagesOf = (pdf: Buffer) => pdf.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length ?? 0;

test("reports as pages: every one is readable by eyes, screen readers and printers, and asks nothing of anybody", async ({ page }, testInfo) => {
  // Ten reports, some of thousands of rows, each of which axe-core looks at.
  test.slow();
  const stage = readStage();
  const reports = JSON.parse(run("report", "list", "--format", "json")) as { name: string }[];
  expect(reports).toHaveLength(10);
  const folder = testInfo.outputPath("pages");
  mkdirSync(folder, { recursive: true });
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  const troubles: string[] = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => troubles.push(message.text()));
  let pictures = 0;
  for (const { name } of reports) {
    await test.step(name, async () => {
      const report = JSON.parse(run("report", "describe", name, "--format", "json")) as Described;
      const path = made(name, stage, folder);
      const about = JSON.parse(readFileSync(`${path}.about.json`, "utf8")) as { row_count: number };
      const url = pathToFileURL(path).href;
      asked.length = 0;
      await page.goto(url);
      await expect(page).toHaveTitle(report.title);
      await expect(page.getByRole("heading", { level: 1, name: report.title })).toBeVisible();
      const rows = page.locator("#rows");
      await expect(rows).toBeVisible();
      await expect(rows.getByRole("columnheader")).toHaveText(report.columns.map(({ name }) => name));
      await expect(rows.locator("tbody tr")).toHaveCount(about.row_count);
      if (report.chart) {
        expect(about.row_count, "a picture is of some rows").toBeGreaterThan(0);
        pictures += 1;
        const picture = page.getByRole("img", { name: report.chart.title });
        await expect(picture).toBeVisible();
        const box = await picture.boundingBox();
        expect(Math.min(box?.width ?? 0, box?.height ?? 0)).toBeGreaterThan(40);
        expect(await picture.locator("rect").count(), "bars and columns").toBeGreaterThan(1);
        // What eyes see of it, others read: in its name, which says what it is of, and in a table of its numbers.
        await expect(picture).toHaveAccessibleName(/ for each .*\. The table below has the numbers\.$/);
        await expect(page.locator("#picture")).toBeVisible();
        expect(await page.locator("#picture tbody tr").count()).toBeGreaterThan(0);
      } else {
        await expect(page.getByRole("img")).toHaveCount(0);
      }
      expect(await page.evaluate(() => document.scripts.length)).toBe(0);
      expect(await Axe.analyse(page, ALL)).toEqual([]);
      const pdf = await page.pdf({ format: "A4" });
      expect(pdf.subarray(0, 5).toString("latin1")).toBe("%PDF-");
      expect(pagesOf(pdf), `pages of ${pdf.length} bytes`).toBeGreaterThan(0);
      expect(asked, "it asks for itself alone").toEqual([url]);
    });
  }
  expect(pictures, "some reports have a picture").toBeGreaterThan(2);
  expect(troubles).toEqual([]);
});
