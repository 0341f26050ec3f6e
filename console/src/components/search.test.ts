import { expect, it } from "vitest";
import { COMPONENTS } from "../gen/lists.ts";
import { LINKS } from "../links.ts";
import { keyOf, matching } from "./search.tsx";

const numbers = (filter: string) => matching(filter).map(({ number }) => number);

it("variants are found by the beginning of their number, and by words of their name in any order", () => {
  expect(numbers("4.8")).toEqual(["4.8.1", "4.8.2", "4.8.3"]);
  expect(numbers("profile ACTIVE import")).toContain("4.8.1");
  expect(numbers("  11.2 ")).toContain("11.2");
  expect(numbers("no such variant")).toEqual([]);
  expect(numbers("").length).toBeGreaterThan(100);
});

it("an address names one key", () => {
  expect(keyOf(new URLSearchParams("uprn=1"))).toEqual({ kind: "uprn", text: "1" });
  expect(keyOf(new URLSearchParams("from=2026-03-01"))).toBeUndefined();
});

it("every link is of a functional component that there is, or of none", () => {
  const known = new Set(COMPONENTS.map(({ name }) => name));
  for (const { component, path } of LINKS) {
    expect(component === undefined || known.has(component), path).toBe(true);
  }
});
