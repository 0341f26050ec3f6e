// Servers that go and come back, and sessions that end while a page is open.

import { expect, test } from "@playwright/test";
import { execFileSync, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTEXT, metadata } from "./identity-provider.ts";
import { logIn, person } from "./pages.ts";
import { consoleArgs, freePort, serve, stage as readStage, trustArgs } from "./stage.ts";

const stage = readStage();

async function end(server: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await ended;
}

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
        await page.getByRole("navigation").getByRole("link", { name }).click();
      }
    }
    await expect(ended).toBeVisible({ timeout: 500 });
  }).toPass();
});
