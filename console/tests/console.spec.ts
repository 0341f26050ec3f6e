// Two Users with different rights walk the console.

import { expect, type Page, test } from "@playwright/test";
import { readFileSync } from "node:fs";
import { AUDIT_COLUMNS, METER_READ_COLUMNS } from "../src/model/columns.ts";
import { expectAccessible, expectFits, logIn, person, watch } from "./pages.ts";
import { COMMUNICATE_WITH, stage as readStage } from "./stage.ts";

const stage = readStage();
const ann = person(stage.first, "ann", "role-01");
/** Whose role has no hub status. */
const ben = person(stage.second, "ben", "role-03");

const table = (page: Page) => page.getByRole("table");
const rows = (page: Page) => table(page).locator("tbody tr");

let complaints: string[] = [];
test.beforeEach(({ context }) => {
  complaints = [];
  watch(context, complaints);
});
test.afterEach(() => expect(complaints).toEqual([]));

test("somebody logs in, is told so, and comes to where they were going", async ({ page, context }) => {
  const path = `/audit?device=${stage.device}`;
  await logIn(page, stage, ann, path);
  await expect(page).toHaveURL(stage.url + path);
  await expect(page.getByText(`You are logged in for ${stage.first.party}`)).toBeVisible();
  await expect(rows(page)).toHaveCount(Math.min(50, stage.rows.first));
  const [cookie, ...others] = await context.cookies();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({ name: "__Host-gridtrail", httpOnly: true, secure: true, sameSite: "Strict", path: "/" });
  const hours = ((cookie?.expires ?? 0) - Date.now() / 1000) / 3600;
  expect(hours).toBeGreaterThan(7.9);
  expect(hours).toBeLessThanOrEqual(8.5);
  expect(await page.evaluate(() => [...Object.values(localStorage), ...Object.values(sessionStorage)].join())).not.toContain("eyJ");
});

test("a session that is left is over, for other tabs, too", async ({ page, context }) => {
  await logIn(page, stage, ann, "/profile");
  const other = await context.newPage();
  await other.goto(`${stage.url}/profile`);
  await expect(other.getByText(stage.first.party).first()).toBeVisible();
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await other.getByRole("navigation").getByRole("link", { name: "Freshness" }).click();
  await expect(other.getByText("Your session has ended.")).toBeVisible();
  await expect(other).toHaveURL(`${stage.url}/freshness`);
});

test("a minute before an unused session ends the page asks, and then it keeps the address", async ({ page }) => {
  await page.clock.install();
  const path = `/audit?device=${stage.device}`;
  await logIn(page, stage, ann, path);
  await expect(rows(page).first()).toBeVisible();
  await page.clock.fastForward("13:20");
  const asks = page.getByRole("dialog", { name: "Are you still there?" });
  await expect(asks).toBeHidden();
  await page.clock.fastForward("00:15");
  await expect(asks).toBeVisible();
  await expectAccessible(page);
  await asks.getByRole("button", { name: "Go on" }).click();
  await expect(asks).toBeHidden();
  await expect(rows(page).first()).toBeVisible();
  await page.clock.fastForward("14:40");
  await expect(page.getByText("Your session has ended.")).toBeVisible();
  await expect(page).toHaveURL(stage.url + path);
});

test("a slow answer can be stopped and asked for again, and a server that is away is told of", async ({ page, context }) => {
  await logIn(page, stage, ann);
  await page.route("**/gridtrail.query.v1.AuditTrailService/Search", () => {
    // It is never answered.
  });
  await page.getByLabel(/Search the service audit trail/).fill(stage.device);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("You stopped this.")).toBeVisible();
  await page.unroute("**/gridtrail.query.v1.AuditTrailService/Search");
  await page.getByRole("button", { name: "Start again" }).click();
  await expect(rows(page).first()).toBeVisible();
  await context.setOffline(true);
  await page.getByRole("navigation").getByRole("link", { name: "Freshness" }).click();
  await expect(page.getByRole("alert")).toContainText("The server cannot be reached");
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("Day by day, in UTC")).toBeVisible();
  complaints = complaints.filter((text) => !text.includes("ERR_INTERNET_DISCONNECTED"));
});

test("whoever could not be logged out is told so, and logs out again", async ({ page, context }) => {
  await logIn(page, stage, ann, `/audit?device=${stage.device}`);
  await page.route("**/saml/logout", (route) => route.fulfill({ status: 503, body: "" }));
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(page.getByRole("alert")).toContainText("You are still logged in");
  await expect(page.getByRole("alert")).toContainText("503");
  await expectAccessible(page);
  expect(await context.cookies()).toHaveLength(1);
  await page.unroute("**/saml/logout");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  expect(await context.cookies()).toEqual([]);
  await expect(page, "whoever logs in next is not led to this search").toHaveURL(`${stage.url}/`);
  await page.goto(`${stage.url}/profile`);
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  complaints = complaints.filter((text) => !text.includes("503"));
});

test("whoever has a session comes in while many others load the log-in page", async ({ page }) => {
  await logIn(page, stage, ann, "/profile");
  await page.route("**/saml/providers", (route) => route.fulfill({ status: 503, body: "" }));
  await page.reload();
  await expect(page.getByText("What your roles allow")).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
  await page.unroute("**/saml/providers");
  complaints = complaints.filter((text) => !text.includes("503"));
});

test("what follows a page can be stopped, and is not shown beside another search", async ({ page }) => {
  await logIn(page, stage, ann, `/audit?device=${stage.busy.device}`);
  await expect(rows(page)).toHaveCount(50);
  const search = "**/gridtrail.query.v1.AuditTrailService/Search";
  const held: (() => Promise<void>)[] = [];
  await page.route(search, (route) => void held.push(() => route.continue()));
  await page.getByRole("button", { name: "Load more" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByRole("button", { name: "Load more" })).toBeEnabled();
  await expect(rows(page)).toHaveCount(50);
  await page.getByRole("button", { name: "Load more" }).click();
  await expect.poll(() => held.length).toBe(2);
  // Another search while the page is on its way, and then its pages.
  await page.unroute(search);
  await page.getByLabel("From date").fill("2020-01-01");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/from=2020-01-01/);
  await expect(rows(page)).toHaveCount(50);
  await page.getByRole("button", { name: "Load more" }).click();
  await expect(rows(page)).toHaveCount(100);
  await Promise.allSettled(held.map((goOn) => goOn()));
  await expect(rows(page)).toHaveCount(100);
});

test("what is mistyped beside a postcode is told, not left out", async ({ page }) => {
  await logIn(page, stage, ann, "/inventory");
  await page.getByLabel("Full postcode").fill("SW1A 1AA");
  const box = page.getByLabel("MPxN, Device ID or UPRN");
  await box.fill("12345678901234567890");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page.locator(".wrong")).toContainText("MPAN (13 digits)");
  await expect(page).toHaveURL(`${stage.url}/inventory`);
  await box.fill("");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/postcode=SW1A\+1AA$/);
});

test("a Device as it was leads to others, and to its audit trail, as they were", async ({ page }) => {
  await logIn(page, stage, ann);
  const then = new Date(Date.now() - 1_000).toISOString();
  await page.goto(`${stage.url}/devices/${stage.device}?${new URLSearchParams({ as_of: then })}`);
  const around = page.getByRole("region", { name: /Devices around it/ }).last();
  await around.getByRole("link", { name: stage.hub }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Device ${stage.hub}`);
  const asOf = () => new URL(page.url()).searchParams.get("as_of");
  expect(asOf()).toBe(then);
  await page.goBack();
  await page.getByRole("link", { name: stage.mpxn }).first().click();
  await expect(page).toHaveURL(/inventory/);
  expect(asOf()).toBe(then);
  await page.goBack();
  await page.getByRole("link", { name: "Service audit trail of this Device" }).click();
  await expect(rows(page).first()).toBeVisible();
  expect(asOf()).toBe(then);
});

test("only our own pages call with the cookie", async ({ page, playwright }) => {
  await logIn(page, stage, ann);
  const [cookie] = await page.context().cookies();
  const headers = { cookie: `${cookie?.name}=${cookie?.value}`, "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
  const request = await playwright.request.newContext({ ignoreHTTPSErrors: true });
  const status = async (more: Record<string, string>) => {
    const answer = await request.post(`${stage.url}/gridtrail.query.v1.SessionService/Profile`, { headers: { ...headers, ...more }, data: Buffer.alloc(5) });
    return answer.status() === 200 ? (answer.headers()["grpc-status"] ?? "0") : `HTTP ${answer.status()}`;
  };
  const ours = { origin: stage.url, "sec-fetch-site": "same-origin" };
  expect(await status(ours)).toBe("0");
  const refused = "16";
  expect(await status({})).toBe(refused);
  expect(await status({ ...ours, origin: "https://evil.example" })).toBe(refused);
  expect(await status({ ...ours, "sec-fetch-site": "same-site" })).toBe(refused);
  expect(await status({ ...ours, "content-type": "application/grpc" })).not.toBe("0");
  await request.dispose();
});

test("the pages are served as they should be", async ({ playwright }) => {
  const request = await playwright.request.newContext({ ignoreHTTPSErrors: true });
  const page = await request.get(stage.url);
  expect(page.headers()["cache-control"]).toBe("no-store");
  const policy = page.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).not.toContain("unsafe");
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
  const answer = await request.get(stage.url + script, { headers: { "accept-encoding": "br" } });
  expect(answer.headers()).toMatchObject({ "content-encoding": "br", "cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff" });
  expect((await request.get(`${stage.url}/assets/none.js`)).status()).toBe(404);
  await request.dispose();
});

test("a first search takes three steps, its rows open, and back and forward work", async ({ page }) => {
  await logIn(page, stage, ann);
  await page.keyboard.press("/");
  await page.keyboard.type(stage.device.toLowerCase().replaceAll("-", ""));
  await expect(page.getByText("This is a Device GUID.")).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${stage.url}/audit?device=${stage.device}`);
  await expect(table(page).locator("thead th")).toHaveText([...AUDIT_COLUMNS.map((column) => column.name), "Full Details"]);
  const first = Math.min(50, stage.rows.first);
  await expect(rows(page)).toHaveCount(first);
  while (await page.getByRole("button", { name: "Load more" }).isVisible()) {
    const before = await rows(page).count();
    await page.getByRole("button", { name: "Load more" }).click();
    await expect.poll(() => rows(page).count()).toBeGreaterThan(before);
  }
  await expect(rows(page)).toHaveCount(stage.rows.first);
  await rows(page).first().getByRole("link", { name: /Full details/ }).click();
  const panel = page.getByRole("complementary", { name: "Full details" });
  for (const field of ["Request ID", "CSP Region", "Mode of operation", "Command Variant", "Current Status", "Anomaly Detection Flag", "Status Change History"]) {
    await expect(panel.getByText(field, { exact: true })).toBeVisible();
  }
  await expect(panel.locator(".time-line li").first()).toBeVisible();
  await expectAccessible(page);
  await page.goBack();
  await expect(panel).toBeHidden();
  await page.goForward();
  await expect(panel).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(panel).toBeHidden();
  await expect(page.getByRole("button", { name: "Save these rows as CSV" })).toBeVisible();
});

test("a search, its details and the way back need no mouse", async ({ page }) => {
  await logIn(page, stage, ann);
  const tabTo = async (name: RegExp) => {
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
    for (let at = 0; at < 80 && !name.test(await focused()); at++) {
      await page.keyboard.press("Tab");
    }
    expect(await focused()).toMatch(name);
  };
  await page.keyboard.press("/");
  await page.keyboard.type(stage.device);
  await page.keyboard.press("Enter");
  await expect(rows(page).first()).toBeVisible();
  await tabTo(/^Full details of the row/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Full details" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(rows(page).first().getByRole("link", { name: /Full details/ })).toBeFocused();
  await page.keyboard.press("/");
  await expect(page.getByLabel("MPxN, Device GUID or UPRN")).toBeFocused();
});

test("rows of another User are not there, their meter reads are", async ({ page }) => {
  await logIn(page, stage, ben, `/audit?device=${stage.device}`);
  await expect(page.getByRole("status").filter({ hasText: "rows" })).toContainText(`${Math.min(50, stage.rows.second)} rows`);
  for (const text of await rows(page).locator("td:first-child").allTextContents()) {
    expect(stage.second.userIds.some((id) => text.startsWith(`(${id})`)), text).toBe(true);
  }
  await page.getByRole("navigation").getByRole("link", { name: "Meter reads" }).click();
  await page.getByLabel(/MPxN, Device GUID or UPRN/).fill(stage.device);
  await page.getByRole("button", { name: "Search" }).click();
  await expect(table(page).locator("thead th")).toHaveText([...METER_READ_COLUMNS.map((column) => column.name), "Full Details"]);
  await expect(rows(page)).toHaveCount(Math.min(50, stage.rows.meterReads));
  await page.getByRole("checkbox", { name: /4\.17 / }).check();
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/srv=4\.17/);
  await expectAccessible(page);
});

test("what a role does not allow is not offered, and refused with what to do", async ({ page }) => {
  await logIn(page, stage, ben);
  await expect(page.getByRole("navigation").getByRole("link", { name: "Hub status" })).toHaveCount(0);
  await page.goto(`${stage.url}/hub?device=${stage.hub}`);
  await expect(page.getByRole("alert")).toContainText("Your Job Type Roles do not allow this");
  await expect(page.getByRole("alert")).toContainText("HTTP code 403");
  await expectAccessible(page);
});

test("the inventory leads to a Device, its hub and its audit trail", async ({ page }) => {
  await logIn(page, stage, ann, `/inventory?mpxn=${stage.mpxn}`);
  await expect(table(page).locator("thead th")).toHaveText(["Device ID", "Device Type", "MPxN", "SMI Status", "First line of address", "UPRN", "Full postcode"]);
  await expectAccessible(page);
  await table(page).getByRole("link", { name: stage.device }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Device ${stage.device}`);
  await expect(page.getByRole("img", { name: /The Device in the middle/ })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("link", { name: "Service audit trail of this Device" }).click();
  await expect(rows(page)).toHaveCount(Math.min(50, stage.rows.first));
  await page.goBack();
  await page.getByRole("link", { name: stage.hub }).first().click();
  await page.getByRole("link", { name: "Availability and diagnostics of this hub" }).click();
  await expect(page.getByText(/You may (not )?communicate with this Device/)).toBeVisible();
  // There is a link where they may, and it is but a link.
  const mayCommunicate = await page.getByText("You may communicate with this Device").isVisible();
  const link = page.getByRole("link", { name: "Communicate With Device" });
  await expect(link).toHaveCount(mayCommunicate ? 1 : 0);
  if (mayCommunicate) {
    await expect(link).toHaveAttribute("href", COMMUNICATE_WITH.replace("{device}", stage.hub));
    await expect(link).toHaveAttribute("rel", "noopener noreferrer");
  }
  await expectAccessible(page);
});

test("one’s own calls are there, newest first, and nobody else’s", async ({ page }) => {
  await logIn(page, stage, ben, `/audit?device=${stage.device}`);
  await expect(rows(page).first()).toBeVisible();
  await page.getByRole("navigation").getByRole("link", { name: "Access log" }).click();
  // The record is written once a second, and others of these tests search by the same Device.
  const search = rows(page).filter({ hasText: stage.device }).filter({ hasText: "AuditTrailService.Search" }).first();
  await expect(async () => {
    await page.getByRole("button", { name: "Read it again" }).click();
    await expect(search).toBeVisible({ timeout: 1_000 });
  }).toPass();
  await expect(search).toContainText("OK");
  await expect(page.getByText(stage.busy.device), "nobody of this Party searched for it").toHaveCount(0);
  await expectAccessible(page);
});

test("an empty answer says why and what to try, and a wrong field what is wrong", async ({ page }) => {
  await logIn(page, stage, ann, "/audit?device=00-00-00-00-00-00-00-01&from=2026-03-01");
  await expect(page.getByText("No row was found.")).toBeVisible();
  await expect(page.getByRole("link", { name: "search without them" })).toBeVisible();
  await expectAccessible(page);
  await page.goto(`${stage.url}/audit?device=${stage.device}&as_of=yesterday`);
  await expect(page.getByRole("alert")).toContainText("As of");
  await expect(page.getByRole("alert")).toContainText("HTTP code 400");
  await page.goto(`${stage.url}/audit`);
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page.locator(".wrong")).toContainText("MPAN (13 digits)");
  await expectAccessible(page);
});

test("variants are found by number and by name", async ({ page }) => {
  await logIn(page, stage, ann, `/audit?device=${stage.device}`);
  await page.getByText("Service Reference Variant: all").click();
  await page.getByLabel("Find by number or name").fill("profile import active");
  await page.getByRole("checkbox", { name: /4\.8\.1/ }).check();
  await page.getByLabel("Find by number or name").fill("11.2");
  await page.getByRole("checkbox", { name: /^11\.2 / }).check();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/srv=4\.8\.1%2C11\.2/);
});

test("what is shown is saved as CSV", async ({ page }) => {
  await logIn(page, stage, ann, `/audit?device=${stage.device}`);
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save these rows as CSV" }).click();
  const lines = readFileSync(await (await saving).path(), "utf8").trim().split("\r\n");
  expect(lines[0]?.replace("\uFEFF", "")).toBe(AUDIT_COLUMNS.map((column) => column.name).join(","));
  expect(lines).toHaveLength(Math.min(50, stage.rows.first) + 1);
});

test("freshness, profile and the first page are accessible, and every page fits a small window", async ({ page }) => {
  await page.goto(stage.url);
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await expectAccessible(page);
  await logIn(page, stage, ann);
  await expectAccessible(page);
  for (const [path, text] of [
    ["/", "Search the service audit trail"],
    ["/audit", "From date"],
    [`/audit?device=${stage.device}`, "rows"],
    ["/meter-reads", "From date"],
    [`/inventory?mpxn=${stage.mpxn}`, "Devices that match"],
    [`/devices/${stage.device}`, "SMI Status history"],
    [`/hub?device=${stage.hub}`, "communicate with this Device"],
    ["/freshness", "Day by day, in UTC"],
    ["/reports", "Monthly Transaction Report"],
    ["/reports/monthly-transactions?month=2026-03&run=yes", "About this report"],
    ["/calls", "Your calls"],
    ["/profile", "What your roles allow"],
    ["/nowhere", "There is no such page"],
  ] as const) {
    await page.goto(stage.url + path);
    await expect(page.getByText(text).first()).toBeVisible();
    await expectFits(page, 320);
    await expectAccessible(page);
  }
});

test("a profile says Yes or No for every functional component", async ({ page }) => {
  await logIn(page, stage, ben, "/profile");
  const cells = await table(page).locator("tbody tr td:last-child").allTextContents();
  expect(new Set(cells)).toEqual(new Set(["Yes", "No"]));
  await expect(table(page).getByRole("row", { name: /Communications Hub availability/ })).toContainText("No");
  for (const id of stage.second.userIds) {
    await expect(page.getByText(id, { exact: true })).toBeVisible();
  }
});
