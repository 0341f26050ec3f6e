// The values of a report's rows, as a page shows them.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ReportCell } from "../gen/gridtrail/query/v1/report_pb.ts";
import { shownTimestamp } from "./time.ts";

export function textOf(cell: ReportCell | undefined): string {
  const value = cell?.value;
  switch (value?.case) {
    case "text":
    case "date":
    case "ukTime":
      return value.value;
    case "number":
      return String(value.value);
    case "decimal":
      return shownNumber(value.value);
    case "time":
      return shownTimestamp(value.value)?.iso ?? "";
    case "flag":
      return value.value ? "Yes" : "No";
    default:
      return "";
  }
}

export function isNumber(cell: ReportCell): boolean {
  return cell.value.case === "number" || cell.value.case === "decimal";
}

export function numberOf(cell: ReportCell | undefined): number {
  const value = cell?.value;
  return value?.case === "number" || value?.case === "decimal" ? Number(value.value) : 0;
}

/** What times are ordered by along an axis; 0 of all else. A time in the UK counts as its clocks show it. */
export function placeOf(cell: ReportCell | undefined): number {
  const value = cell?.value;
  switch (value?.case) {
    case "time":
      return timestampMs(value.value);
    case "ukTime":
      return Date.parse(`${value.value.slice(0, 19)}Z`);
    case "date":
      return Date.parse(`${value.value}T00:00:00Z`);
    default:
      return 0;
  }
}

/** Whole where it is, else with three decimals. */
export function shownNumber(number: number): string {
  return Number.isInteger(number) ? String(number) : number.toFixed(3);
}
