import { describe, expect, it } from "vitest";
import { as, hasMpanCheckDigit, recognise } from "./identifier.ts";

describe("an identifier", () => {
  it("is told apart as it is typed or pasted, in any form", () => {
    const kinds = (texts: string[]) => texts.map((text) => [recognise(text)?.kind, recognise(text)?.text]);
    expect(kinds(["02-1d-10-83-f3-e7-83-e0", " 021D1083F3E783E0\n", "02:1D:10:83:F3:E7:83:E0", '"0x021d1083f3e783e0"'])).toEqual(
      Array(4).fill(["device", "02-1D-10-83-F3-E7-83-E0"]),
    );
    expect(kinds(["14 0081 0754 926", "1400810754926"])).toEqual(Array(2).fill(["mpxn", "1400810754926"]));
    expect(kinds(["1", "100012345678", "12345678901"])).toEqual([["uprn", "1"], ["uprn", "100012345678"], ["uprn", "12345678901"]]);
    // Sixteen decimal digits are hexadecimal ones, too.
    expect(recognise("1234567890123456")?.kind).toBe("device");
    for (const none of ["", "x", "12345678901234", "02-1D-10-83-F3-E7-83", "SW1A 1AA"]) {
      expect(recognise(none), none).toBeUndefined();
    }
  });

  it("that can be two things is the one unless the other is chosen", () => {
    const found = recognise("1234567890");
    expect([found?.kind, found?.alternative]).toEqual(["mpxn", "uprn"]);
    const other = found && as(found, "uprn");
    expect([other?.kind, other?.name, other?.alternative]).toEqual(["uprn", "UPRN", "mpxn"]);
    const device = recognise("021D1083F3E783E0");
    expect(device && as(device, "uprn")).toEqual(device);
  });

  it("with a wrong check digit is remarked upon, and not refused", () => {
    expect(hasMpanCheckDigit("1400810754926")).toBe(true);
    expect(recognise("1400810754926")?.remark).toBeUndefined();
    expect(recognise("1400810754927")?.remark).toContain("check digit");
  });
});
