import { expect, it } from "vitest";
import { cell, csv } from "./csv.ts";

it("no cell is a formula", () => {
  for (const formula of ["=1+1", "+44", "-1", "@SUM(A1)", "\t=1", "|calc"]) {
    expect(cell(formula).replace(/^"/, "").startsWith("'"), formula).toBe(true);
  }
  expect(cell("(90-B3-D5-1F-30-02-00-00)Acme/IS")).toBe("(90-B3-D5-1F-30-02-00-00)Acme/IS");
});

it("commas, quotes and line ends stay within their cell", () => {
  expect(csv(["a", "b"], [["1,2", 'say "x"'], ["two\nlines", ""]])).toBe('a,b\r\n"1,2","say ""x"""\r\n"two\nlines",\r\n');
});
