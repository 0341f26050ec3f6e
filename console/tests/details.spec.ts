// What people enter about themselves at their first log-in: asked once, changed on the profile, and told to nobody else.

import { expect, test } from "@playwright/test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { comeIn, enterDetails, expectAccessible, expectFits, logIn, person, watch } from "./pages.ts";
import { consoleArgs, end, freePort, run, serve, stage as readStage } from "./stage.ts";

const stage = readStage();
const ann = person(stage.first, "ann", "role-01");
const dora = person(stage.first, "dora", "role-01");
/** Names that nothing else has. */
const [NAME, OTHER_NAME] = ["Quillfeather", "Quillfeather-Smyth"];
const DETAILS = { firstName: "Dora", lastName: NAME, email: `dora@${NAME}.example`, telephone: "+44 20 7946 0000" };

interface Call {
  call: string;
  outcome: string;
  subject?: string;
  party?: string;
}

function accessLog(): { text: string; calls: Call[] } {
  const text = run("access", "log", "--lake", join(stage.folder, "lake"), "--format", "json");
  return { text, calls: JSON.parse(text) as Call[] };
}

let complaints: string[] = [];
test.beforeEach(({ context }) => {
  complaints = [];
  watch(context, complaints);
});
test.afterEach(() => expect(complaints).toEqual([]));

test("whoever logs in for the first time enters their details once, changes them, and is forgotten", async ({ page, context }) => {
  const log = join(stage.folder, "details.log");
  const { server, url } = await serve(consoleArgs(stage.folder, await freePort()), log);
  const here = { ...stage, url };
  const heading = page.getByRole("heading", { name: "Your details", level: 1 });
  const rows = page.getByRole("table").locator("tbody tr");
  try {
    const path = `/audit?device=${stage.device}`;
    await comeIn(page, here, dora, path);
    await expect(heading).toBeFocused();
    await expect(page.getByText(`You are logged in for ${stage.first.party}`)).toBeVisible();
    await expect(page.getByRole("navigation")).toHaveCount(0);
    await expectAccessible(page);
    await expectFits(page, 320);
    // No other address leads past it.
    await page.goto(`${url}/profile`);
    await expect(heading).toBeVisible();
    await page.goto(url + path);
    await enterDetails(page, { firstName: " ", lastName: NAME, email: "dora", telephone: "none" });
    await expect(page.getByText("Enter your first name.")).toBeVisible();
    await expect(page.getByText("An e-mail address looks like name@example.com.")).toBeVisible();
    await expect(page.getByText("A telephone number has 7 to 15 digits")).toBeVisible();
    await expect(page.getByLabel("First name")).toBeFocused();
    await expect(page.getByLabel("First name")).toHaveAccessibleDescription("Enter your first name.");
    await expectAccessible(page);
    await enterDetails(page, DETAILS);
    await expect(rows.first()).toBeVisible();
    await expect(page, "they are where they were going").toHaveURL(url + path);
    const kept = await page.evaluate(() => [...Object.entries(localStorage), ...Object.entries(sessionStorage), [document.cookie]].flat().join());
    expect(kept).not.toContain(NAME);

    // A later log-in asks for nothing.
    await page.getByRole("button", { name: "Log out" }).click();
    await comeIn(page, here, dora, path);
    await expect(rows.first()).toBeVisible();
    await expect(heading).toHaveCount(0);

    await page.getByRole("navigation").getByRole("link", { name: "Profile" }).click();
    await expect(page.getByText(NAME, { exact: true })).toBeVisible();
    await expect(page.getByText(DETAILS.email)).toBeVisible();
    await page.getByRole("button", { name: "Change your details" }).click();
    await expect(page.getByLabel("First name")).toBeFocused();
    await expectAccessible(page);
    await page.getByLabel("Last name").fill("");
    await page.getByRole("button", { name: "Leave them as they were" }).click();
    await expect(page.getByRole("button", { name: "Change your details" })).toBeFocused();
    await page.getByRole("button", { name: "Change your details" }).click();
    await page.getByLabel("Last name").fill(OTHER_NAME);
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText(OTHER_NAME, { exact: true })).toBeVisible();
    await page.reload();
    await expect(page.getByText(OTHER_NAME, { exact: true })).toBeVisible();
    await expectAccessible(page);
    await expectFits(page, 320);

    // A colleague of the same Party sees their own.
    const colleague = await context.browser()?.newContext({ ignoreHTTPSErrors: true });
    const other = await colleague?.newPage();
    if (!other) {
      throw new Error("there is no browser");
    }
    await logIn(other, here, ann, "/profile");
    await expect(other.getByText("ann@supplier.example")).toBeVisible();
    await expect(other.getByText(NAME)).toHaveCount(0);
    await colleague?.close();

    // The record is written once a second.
    const set = () => accessLog().calls.filter(({ call, outcome }) => call === "SessionService.SetDetails" && outcome === "OK");
    // Nobody else of these tests enters theirs twice.
    const twice = () => set().find(({ subject }, at, all) => all.findLastIndex((call) => call.subject === subject) > at);
    await expect.poll(twice).toBeDefined();
    expect(accessLog().text).not.toContain(NAME);
    const { subject = "", party = "" } = twice() ?? {};
    const forget = () => run("session", "forget", subject, "--party", party, "--lake", join(stage.folder, "lake"));
    forget();
    expect(forget, "there is nothing to forget any more").toThrow();
    await page.reload();
    await expect(heading).toBeVisible();
    await expect(page.getByLabel("Last name")).toHaveValue("");
  } finally {
    await end(server);
  }
  const said = readFileSync(log, "utf8");
  expect(said, "it says what it does").toContain("somebody logged in");
  expect(said).not.toContain(NAME);
});

test("whoever comes with a token is asked for nothing", async ({ page }) => {
  const port = await freePort();
  const at = (name: string) => join(stage.folder, name);
  const { server, url } = await serve([
    "--console", "--lake", at("lake"), "--listen", `127.0.0.1:${port}`, "--tls-certificate", at("tls.pem"), "--tls-key", at("tls.key"), "--public-key", at("dev.pub.pem"),
  ]);
  try {
    await page.goto(`${url}/profile`);
    await page.getByLabel("Token").fill(readFileSync(at("me.jwt"), "utf8").trim());
    await page.getByRole("button", { name: "Log in" }).click();
    await expect(page.getByText("What your roles allow")).toBeVisible();
    await expect(page.getByRole("heading", { name: "Your details" })).toHaveCount(0);
  } finally {
    await end(server);
  }
  complaints = complaints.filter((text) => !text.includes("404"));
});
