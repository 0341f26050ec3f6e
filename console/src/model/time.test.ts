import { expect, it } from "vitest";
import { seconds, shown } from "./time.ts";

it("a time is shown in UTC and as it is in the UK, summer and winter", () => {
  expect(shown(new Date("2026-03-01T09:30:00.123Z"))).toEqual({
    iso: "2026-03-01T09:30:00.123Z",
    utc: "2026-03-01 09:30:00.123 UTC",
    uk: "09:30:00 GMT",
  });
  expect(shown(new Date("2026-07-01T09:30:00Z")).uk).toBe("10:30:00 BST");
});

it("the day in the UK is named where it is another", () => {
  expect(shown(new Date("2026-06-30T23:30:00Z")).uk).toBe("2026-07-01 00:30:00 BST");
});

it("the hour that comes twice is told apart", () => {
  expect(shown(new Date("2026-10-25T00:30:00Z")).uk).toBe("01:30:00 BST");
  expect(shown(new Date("2026-10-25T01:30:00Z")).uk).toBe("01:30:00 GMT");
});

it("a duration has its two largest units", () => {
  expect([0, 59.6, 3600, 90061, 86400].map(seconds)).toEqual(["0 s", "1 min", "1 h", "1 d 1 h", "1 d"]);
});
