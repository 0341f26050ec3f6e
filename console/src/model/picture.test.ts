import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type ReportChart, ReportChartKind, type ReportRow, ReportRowSchema, ReportSchema } from "../gen/gridtrail/query/v1/report_pb.ts";
import { type Picture, tallyOf } from "./picture.ts";

function pictureOf(chart: Partial<Omit<ReportChart, "$typeName">>, rows: ReportRow[]): Picture | string | undefined {
  const columns = ["variant", "day", "done", "failed", "status"].map((name) => ({ name }));
  const tally = tallyOf(create(ReportSchema, { columns, chart: { title: "t", kind: ReportChartKind.BARS, across: "variant", ...chart } }));
  tally?.count(rows.slice(0, 1));
  tally?.count(rows.slice(1));
  return tally?.picture();
}

function row(variant: string, day: string, done: number, failed: number, status = ""): ReportRow {
  return create(ReportRowSchema, {
    cells: [
      { value: { case: "text", value: variant } },
      { value: { case: "date", value: day } },
      { value: { case: "number", value: BigInt(done) } },
      { value: { case: "decimal", value: failed } },
      status ? { value: { case: "text", value: status } } : {},
    ],
  });
}

test("columns are summed, the longest bar first", () => {
  const found = pictureOf({ sums: ["done", "failed"] }, [row("4.8.1", "2026-03-01", 1, 0.5), row("11.2", "2026-03-01", 5, 0), row("4.8.1", "2026-03-02", 2, 0)]);
  expect(found).toEqual({
    kind: ReportChartKind.BARS,
    title: "t",
    across: "variant",
    parts: ["done", "failed"],
    values: [
      { name: "11.2", numbers: [5, 0] },
      { name: "4.8.1", numbers: [3, 0.5] },
    ],
  });
});

test("rows are counted by another column, in the order of days", () => {
  const rows = [row("a", "2026-03-10", 0, 0, "Success"), row("a", "2026-03-09", 0, 0), row("b", "2026-03-09", 0, 0, "Success")];
  expect(pictureOf({ kind: ReportChartKind.COLUMNS, across: "day", by: "status" }, rows)).toMatchObject({
    parts: ["Success", "none"],
    values: [
      { name: "2026-03-09", numbers: [1, 1] },
      { name: "2026-03-10", numbers: [1, 0] },
    ],
  });
  expect(pictureOf({}, rows)).toMatchObject({ parts: ["rows"], values: [{ name: "a", numbers: [2] }, { name: "b", numbers: [1] }] });
});

test("what is too much for a picture is one bar, one part, or none at all", () => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => row(`v${at}`, "2026-03-01", 1, 0, `s${at}`));
  const bars = pictureOf({ sums: ["done"] }, many(50)) as Picture;
  expect(bars.values).toHaveLength(40);
  expect(bars.values.at(-1)).toEqual({ name: "11 others", numbers: [11] });
  const parts = (pictureOf({ across: "day", by: "status" }, many(15)) as Picture).parts;
  expect(parts).toHaveLength(11);
  expect(parts.at(-1)).toBe("others");
  expect(pictureOf({}, many(5_001))).toContain("too many values");
  expect(tallyOf(create(ReportSchema, {}))).toBeUndefined();
});
