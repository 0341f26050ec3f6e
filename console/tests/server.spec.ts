// Servers that go and come back, and sessions that end while a page is open.

import { expect, test } from "@playwright/test";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTEXT, metadata } from "./identity-provider.ts";
import { logIn, person } from "./pages.ts";
import { consoleArgs, end, freePort, serve, stage as readStage, type Supplier, trustArgs } from "./stage.ts";

const stage = readStage();

test("a page goes on where it was when its server was away and came back", async ({ page }) => {
  const port = await freePort();
  let { server, url } = await serve(consoleArgs(stage.folder, port));
  try {
    await logIn(page, { ...stage, url }, person(stage.first, "ann", "role-01"), `/audit?device=${stage.device}`);
    await expect(page.getByRole("table")).toBeVisible();
    await end(server);
    await page.getByRole("navigation").getByRole("link", { name: "Freshness" }).click();
    await expect(page.getByRole("alert")).toContainText("The server cannot be reached");
    ({ server, url } = await serve(consoleArgs(stage.folder, port)));
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByText("Day by day, in UTC")).toBeVisible();
    await page.goBack();
    await expect(page.getByRole("table")).toBeVisible();
  } finally {
    await end(server);
  }
});

/** Has the lake take in that two suppliers notified each other, and that the DCC confirmed it. */
function notify(name: string, kind: "GRANT" | "RESCIND", ...suppliers: [Supplier, Supplier][]): void {
  const recordedAt = new Date(Date.now() - 1_000).toISOString();
  const events = suppliers.flatMap(([of, other], at) => {
    const notificationId = `${name}-${at}`;
    const notified = { notificationId, kind: `NOTIFICATION_KIND_${kind}`, party: of.party, otherParty: other.party, userIds: of.userIds, otherUserIds: other.userIds };
    return [
      { eventId: `${notificationId}-sent`, recordedAt, notified },
      { eventId: `${notificationId}-confirmed`, recordedAt, confirmed: { notificationId } },
    ];
  });
  const file = join(stage.folder, `${name}.access.jsonl`);
  writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  execFileSync(process.env.GRIDTRAIL_BINARY ?? "gridtrail", ["ingest", file, "--lake", join(stage.folder, "lake")], { stdio: "ignore" });
}

test("rows that were granted are gone from a page that is open once the grant is rescinded", async ({ page }) => {
  const { first, second, busy } = stage;
  const rows = page.getByRole("table").locator("tbody tr");
  notify("granted", "GRANT", [first, second], [second, first]);
  // Their Identity Provider names those of others that they may use, too.
  const ben = { ...person(second, "ben", "role-01"), userIds: [...second.userIds, ...first.userIds] };
  await logIn(page, stage, ben, `/audit?device=${busy.device}`);
  // The server looks at who shares with whom twice a second.
  await expect(async () => {
    await page.reload();
    await expect(rows).toHaveCount(50, { timeout: 2_000 });
  }).toPass();
  notify("rescinded", "RESCIND", [first, second]);
  const details = page.getByRole("complementary", { name: "Full details" });
  const close = details.getByRole("button", { name: "Close" });
  await expect(async () => {
    // Details that are shown are not asked for again: those that came before the server had seen the rescission would stay.
    if (await close.isVisible()) {
      await close.click();
    }
    await rows.first().getByRole("link", { name: /Full details/ }).click();
    await expect(details.getByRole("alert")).toContainText("There is no row of this reference", { timeout: 2_000 });
  }).toPass();
  await page.getByRole("button", { name: "Load more" }).click();
  await expect(page.getByRole("button", { name: "Load more" })).toHaveCount(0);
  await expect(rows, "nothing comes to what was shown while it was granted").toHaveCount(50);
  await page.goto(`${stage.url}/audit?device=${busy.device}`);
  await expect(page.getByText("No row was found.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Log out" }), "the session goes on").toBeVisible();
});

test("a session that ends with its Identity Provider is over at the next call", async ({ page }) => {
  const gone = { ...stage.first, entityId: "https://idp-3.example" };
  const [lake, xml] = [join(stage.folder, "lake"), join(stage.folder, "idp-3.xml")];
  writeFileSync(xml, metadata(stage.folder, gone.entityId));
  const run = (...args: string[]) => execFileSync(process.env.GRIDTRAIL_BINARY ?? "gridtrail", args, { stdio: "ignore" });
  run("idp", "add", xml, "--party", gone.party, "--authn-context", CONTEXT, "--lake", lake, ...trustArgs(stage.folder));
  await expect(async () => {
    // A server sees an enrolment within a second.
    await page.goto(stage.url);
    await expect(page.getByLabel(/Identity Provider/).locator("option", { hasText: gone.entityId })).toHaveCount(1);
  }).toPass();
  await logIn(page, stage, person(gone, "cat", "role-01"), "/profile");
  run("idp", "remove", gone.entityId, "--lake", lake);
  // The server looks at its register once a second.
  const ended = page.getByText("Your session has ended.");
  await expect(async () => {
    for (const name of ["Freshness", "Home"]) {
      if (!(await ended.isVisible())) {
        // The link is gone with the session, maybe at this moment: then it is looked again.
        await page.getByRole("navigation").getByRole("link", { name }).click({ timeout: 2_000 });
      }
    }
    await expect(ended).toBeVisible({ timeout: 500 });
  }).toPass();
});
