// What a report's picture shows, counted while rows go by: as the outputs of reports count it.

import { type Report, ReportChartKind, type ReportRow } from "../gen/gridtrail/query/v1/report_pb.ts";
import { numberOf, placeOf, textOf } from "./cell.ts";

/** Values along an axis that are counted. With more there is no picture: nothing could be told from it. */
const VALUES_MAX = 5_000;
/** Bars that are drawn, the longest; the others are one. */
const BARS_MAX = 40;
/** Columns that are drawn. */
const COLUMNS_MAX = 1_500;
/** Parts of a bar, one above the other; what comes after these is one. */
const PARTS_MAX = 10;

export interface Picture {
  kind: ReportChartKind;
  title: string;
  /** What stands along the axis. */
  across: string;
  parts: string[];
  /** In the order in which they are drawn, each with a number for each part. */
  values: { name: string; numbers: number[] }[];
}

export interface Tally {
  count(rows: readonly ReportRow[]): void;
  /** The picture; why there is none. */
  picture(): Picture | string;
}

/** The counts of a report's picture; `undefined`: it has none. */
export function tallyOf(report: Report): Tally | undefined {
  const { chart } = report;
  const place = (name: string) => report.columns.findIndex((column) => column.name === name);
  if (!chart || place(chart.across) < 0) {
    return undefined;
  }
  const across = place(chart.across);
  const sums = chart.sums.map(place).filter((at) => at >= 0);
  const by = chart.by ? place(chart.by) : -1;
  const parts = sums.length > 0 ? [...chart.sums] : by < 0 ? ["rows"] : [];
  const totals = new Map<string, { place: number; name: string; numbers: number[] }>();
  let isTooWide = false;
  const partOf = (label: string) => {
    const known = parts.indexOf(label);
    if (known >= 0) {
      return known;
    }
    if (parts.length >= PARTS_MAX) {
      parts[PARTS_MAX] = "others";
      return PARTS_MAX;
    }
    return parts.push(label) - 1;
  };
  const counted = (row: ReportRow): [number, number][] => {
    if (by >= 0) {
      return [[partOf(textOf(row.cells[by]) || "none"), 1]];
    }
    return sums.length === 0 ? [[0, 1]] : sums.map((at, part) => [part, numberOf(row.cells[at])]);
  };
  return {
    count(rows) {
      for (const row of isTooWide ? [] : rows) {
        const cell = row.cells[across];
        const name = textOf(cell) || "none";
        const total = totals.get(name) ?? { place: placeOf(cell), name, numbers: [] };
        totals.set(name, total);
        for (const [part, number] of counted(row)) {
          total.numbers[part] = (total.numbers[part] ?? 0) + number;
        }
        isTooWide ||= totals.size > VALUES_MAX;
      }
    },
    picture() {
      const inOrder = [...totals.values()].sort((a, b) => a.place - b.place || (a.name < b.name ? -1 : 1));
      if (isTooWide || (chart.kind === ReportChartKind.COLUMNS && inOrder.length > COLUMNS_MAX)) {
        return "There are too many values for a picture: ask for a shorter time, or for less.";
      }
      const values = inOrder.map(({ name, numbers }) => ({ name, numbers: parts.map((_, part) => numbers[part] ?? 0) }));
      const { kind, title } = chart;
      return { kind, title, across: chart.across, parts, values: kind === ReportChartKind.BARS ? longest(values, parts) : values };
    },
  };
}

function longest(values: Picture["values"], parts: readonly string[]): Picture["values"] {
  const sorted = values.toSorted((a, b) => total(b.numbers) - total(a.numbers));
  if (sorted.length <= BARS_MAX) {
    return sorted;
  }
  const others = sorted.slice(BARS_MAX - 1);
  const numbers = parts.map((_, part) => others.reduce((sum, value) => sum + (value.numbers[part] ?? 0), 0));
  return [...sorted.slice(0, BARS_MAX - 1), { name: `${others.length} others`, numbers }];
}

export function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
