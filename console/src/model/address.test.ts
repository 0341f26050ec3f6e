import { expect, it } from "vitest";
import { address, isOwn, parameters, variantsOf } from "./address.ts";

it("a search is an address and comes back from it", () => {
  const to = address("/audit", { device: "02-1D-10-83-F3-E7-83-E0", srv: ["4.8.1", "11.2"], from: "", all: false, to: undefined });
  expect(to).toBe("/audit?device=02-1D-10-83-F3-E7-83-E0&srv=4.8.1%2C11.2");
  expect(variantsOf(parameters(to))).toEqual(["4.8.1", "11.2"]);
  expect(address("/inventory", { postcode: "SW1A 1AA", all: true })).toBe("/inventory?postcode=SW1A+1AA&all=yes");
  expect(address("/hub", {})).toBe("/hub");
});

it("no remembered address leads to another site or to a login", () => {
  expect(isOwn("/audit?device=1")).toBe(true);
  for (const other of [null, "", "//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/saml/login?idp=x"]) {
    expect(isOwn(other), String(other)).toBe(false);
  }
});
