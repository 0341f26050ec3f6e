// How long a person waits, of warm searches: GRIDTRAIL_MEASURE=yes scripts/browser -g waits. It prints medians, and holds nothing to them: they are those of this
// machine as busy as it is.

import { expect, test } from "@playwright/test";
import { logIn, person } from "./pages.ts";
import { stage as readStage } from "./stage.ts";

const REPEATS = 20;

test("what a person waits for", async ({ page }) => {
  test.skip(!process.env.GRIDTRAIL_MEASURE, "times are taken where they are asked for");
  const stage = readStage();
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
});
