// axe-core in a page whose policy lets no foreign script in: it is run apart from the page's own scripts.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** What is looked for. */
export const ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** What another choice of colours can break. */
export const COLOURS = ["color-contrast"];

interface Violation {
  id: string;
  help: string;
  nodes: { html: string; failureSummary: string }[];
}

export const Axe = {
  /** What is wrong, a line each. */
  async analyse(page: Page, what: string[]): Promise<string[]> {
    await page.evaluate(SOURCE);
    const violations = await page.evaluate(
      async (runOnly) => (await (window as unknown as { axe: { run(of: Document, how: object): Promise<{ violations: Violation[] }> } }).axe.run(document, { runOnly })).violations,
      what,
    );
    return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html}: ${failureSummary}`));
  },
};
