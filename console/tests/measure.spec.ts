// How long a person waits, of warm searches: GRIDTRAIL_MEASURE=yes scripts/browser -g waits. It prints medians, and holds nothing to them: they are those of this
// machine as busy as it is. GRIDTRAIL_MEASURE_LAKE names a lake that is there already, with the Party `region` (gridtrail generate --one-party region), and
// GRIDTRAIL_MEASURE_DEVICE a Device of it.

import { expect, test } from "@playwright/test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTEXT, metadata } from "./identity-provider.ts";
import { logIn, person } from "./pages.ts";
import { consoleArgs, end, freePort, run, serve, type Stage, stage as readStage, trustArgs } from "./stage.ts";

const REPEATS = 20;

/** The stage with another lake, and how it ends. */
async function over(stage: Stage, lake: string, device: string): Promise<[Stage, () => Promise<void>]> {
  const entityId = "https://idp-measured.example";
  const provider = join(stage.folder, "idp-measured.xml");
  writeFileSync(provider, metadata(stage.folder, entityId));
  run("idp", "add", provider, "--party", "region", "--authn-context", CONTEXT, "--lake", lake, ...trustArgs(stage.folder));
  const args = consoleArgs(stage.folder, await freePort()).map((arg) => (arg === join(stage.folder, "lake") ? lake : arg));
  const { server, url } = await serve(args);
  const first = { party: "region", userIds: Array.from({ length: 24 }, (_, at) => `90-B3-D5-1F-30-02-00-${at.toString(16).padStart(2, "0").toUpperCase()}`), entityId };
  return [{ ...stage, url, device, first }, () => end(server)];
}

test("what a person waits for", async ({ page }) => {
  test.skip(!process.env.GRIDTRAIL_MEASURE, "times are taken where they are asked for");
  const { GRIDTRAIL_MEASURE_LAKE: lake, GRIDTRAIL_MEASURE_DEVICE: device } = process.env;
  const [stage, ended] = lake && device ? await over(readStage(), lake, device) : [readStage(), async () => {}];
  await logIn(page, stage, person(stage.first, "ann", "role-01"), "/audit");
  /** Milliseconds from a click until something is on the page, by the page's own clock. */
  const took = async (what: string, click: () => Promise<void>) => {
    await page.evaluate((selector) => {
      const until = { at: 0 };
      (window as unknown as { until: typeof until }).until = until;
      addEventListener("click", () => (until.at = -performance.now()), { capture: true, once: true });
      const watch = new MutationObserver(() => {
        if (until.at < 0 && document.querySelector(selector)) {
          watch.disconnect();
          requestAnimationFrame(() => (until.at += performance.now()));
        }
      });
      watch.observe(document.body, { childList: true, subtree: true });
    }, what);
    await click();
    await expect.poll(() => page.evaluate(() => (window as unknown as { until: { at: number } }).until.at)).toBeGreaterThan(0);
    return page.evaluate(() => (window as unknown as { until: { at: number } }).until.at);
  };
  const [rows, details]: [number[], number[]] = [[], []];
  for (let at = 0; at < REPEATS; at++) {
    await page.getByLabel("MPxN, Device GUID or UPRN").fill(stage.device);
    rows.push(await took("tbody tr", () => page.getByRole("button", { name: "Search" }).click()));
    details.push(await took(".time-line li", () => page.getByRole("link", { name: /Full details/ }).first().click()));
    await page.getByRole("navigation").getByRole("link", { name: "Audit trails" }).click();
    await expect(page.getByRole("table")).toBeHidden();
  }
  const median = (of: number[]) => Math.round(of.toSorted((a, b) => a - b)[REPEATS / 2] ?? 0);
  console.log(`first row after ${median(rows)} ms, details after ${median(details)} ms, medians of ${REPEATS}`);
  await ended();
});
