// Walking the console as a person does.

import { ALL, Axe, COLOURS } from "./axe.ts";
import { type BrowserContext, expect, type Page } from "@playwright/test";
import { answerPage, type Person, ssoOf } from "./identity-provider.ts";
import type { Stage, Supplier } from "./stage.ts";

/** Somebody of a supplier, with a Job Type Role. */
export function person(of: Supplier, name: string, role: string): Person {
  return { entityId: of.entityId, name, roles: [role], userIds: of.userIds };
}

/** Goes to a page and logs in by the Identity Provider of a person; the browser comes back to the page. Whoever is there for the first time
 * enters their details. */
export async function logIn(page: Page, stage: Stage, who: Person, path = "/"): Promise<void> {
  await comeIn(page, stage, who, path);
  // It is there at once, or not at all.
  if (await page.getByRole("heading", { name: "Your details", level: 1 }).isVisible()) {
    await enterDetails(page, detailsOf(who.name));
    await expect(page.getByRole("navigation")).toBeVisible();
  }
}

export interface Details {
  firstName: string;
  lastName: string;
  email: string;
  telephone: string;
}

export function detailsOf(name: string): Details {
  return { firstName: name, lastName: "of the tests", email: `${name}@supplier.example`, telephone: "020 7946 0000" };
}

/** Fills in what somebody is asked for at their first log-in, and saves it. */
export async function enterDetails(page: Page, { firstName, lastName, email, telephone }: Details): Promise<void> {
  await page.getByLabel("First name").fill(firstName);
  await page.getByLabel("Last name").fill(lastName);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Contact telephone number").fill(telephone);
  await page.getByRole("button", { name: "Save" }).click();
}

/** The same up to where somebody is in. */
export async function comeIn(page: Page, stage: Stage, who: Person, path = "/"): Promise<void> {
  await page.route(ssoOf(who.entityId), async (route) => {
    await route.fulfill({ contentType: "text/html", body: answerPage(stage.folder, route.request().postData() ?? "", who) });
  });
  await page.goto(stage.url + path);
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await page.getByLabel(/Identity Provider/).selectOption(who.entityId);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: `Log in as ${who.name}` }).click();
  await expect(page.getByRole("button", { name: "Log out" })).toBeVisible();
}

/** Complains of what axe-core finds, at WCAG 2.2 AA, in light and in dark. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const found = await Axe.analyse(page, colorScheme === "light" ? ALL : COLOURS);
    expect(found, `${page.url()} in ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** Complains where a page is wider than the window, but for tables, which scroll by themselves. */
export async function expectFits(page: Page, width: number): Promise<void> {
  const before = page.viewportSize();
  await page.setViewportSize({ width, height: 800 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide, `${page.url()} at ${width} pixels`).toBeLessThanOrEqual(width);
  if (before) {
    await page.setViewportSize(before);
  }
}

/** Gathers what a page complains of: a script or style that the policy refuses, or an error that nobody caught. */
export function watch(context: BrowserContext, complaints: string[]): void {
  context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  context.on("weberror", (error) => complaints.push(error.error().message));
}
