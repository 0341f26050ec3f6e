import { expect, test } from "vitest";
import { hexLines, shownBytes } from "./hex.ts";

test("bytes are digits and letters, sixteen a line", () => {
  expect(hexLines(new Uint8Array())).toEqual([]);
  expect(hexLines(new TextEncoder().encode("<b>\u001b[2J"))).toEqual([`00000000  ${"3c 62 3e 1b 5b 32 4a".padEnd(47)}  <b>.[2J`]);
  expect(hexLines(new Uint8Array(17).fill(0xff)).map((line) => line.slice(0, 12))).toEqual(["00000000  ff", "00000010  ff"]);
});

test("a header is text where it is text", () => {
  expect(shownBytes(new TextEncoder().encode("application/json"))).toBe("application/json");
  expect(shownBytes(new Uint8Array([0xff, 0x00]))).toBe("ff 00");
  expect(shownBytes(new Uint8Array([0x1b, 0x5b]))).toBe("1b 5b");
});
