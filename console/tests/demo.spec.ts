// `make demo SERVE=1`, as somebody sees it who meets gridtrail for the first time.

import { expect, test } from "@playwright/test";
import { spawn } from "node:child_process";
import { detailsOf, enterDetails } from "./pages.ts";

test("the demo has a console, and two people who can log in by a development Identity Provider", async ({ page }) => {
  const demo = spawn(process.env.GRIDTRAIL_BINARY ?? "gridtrail", ["demo", "--serve", "--events", "60000", "--log", "warn"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const said = await new Promise<string>((resolve, reject) => {
      let text = "";
      demo.stdout.on("data", (part: Buffer) => {
        text += part.toString();
        if (text.includes("stays up until")) {
          resolve(text);
        }
      });
      demo.once("exit", (code) => reject(new Error(`the demo ended with ${code}: ${text}`)));
    });
    const console = /The console is at (\S+)\./.exec(said)?.[1] ?? "";
    const providers = [...said.matchAll(/^ +(http\S+)  (User [AB])$/gm)].map(([, entityId, name]) => ({ entityId: entityId ?? "", name: name ?? "" }));
    const device = /search for (\S+)\./.exec(said)?.[1] ?? "";
    expect(providers.map(({ name }) => name)).toEqual(["User A", "User B"]);
    const shown: string[] = [];
    for (const { entityId, name } of providers) {
      await page.goto(console);
      await page.getByLabel(/Identity Provider/).selectOption(entityId);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("button", { name: `Log in as ${name}` }).click();
      await enterDetails(page, detailsOf(name.replace(" ", "-")));
      await page.getByLabel(/Search the service audit trail/).fill(device);
      await page.keyboard.press("Enter");
      await expect(page.getByRole("table")).toBeVisible();
      const [own] = await page.getByRole("table").locator("tbody td:first-child").allTextContents();
      shown.push(own ?? "");
      await page.getByRole("button", { name: "Log out" }).click();
      await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
    }
    expect(new Set(shown).size, `each sees their own rows: ${shown.join()}`).toBe(2);
  } finally {
    demo.kill("SIGINT");
  }
});
