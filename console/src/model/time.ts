// Times as the pages show them: UTC, as the services have them, and the time of day in the UK beside it, each named.

import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Duration } from "@bufbuild/protobuf/wkt";

const UK = new Intl.DateTimeFormat("en-GB", {
  timeZone: "Europe/London",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
});

export interface Shown {
  /** For programs. */
  iso: string;
  utc: string;
  uk: string;
}

/** To the millisecond in UTC, to the second in the UK, with its day where that is another. */
export function shown(date: Date): Shown {
  const iso = date.toISOString();
  const day = iso.slice(0, 10);
  const part = Object.fromEntries(UK.formatToParts(date).map(({ type, value }) => [type, value]));
  const ukDay = `${part.year}-${part.month}-${part.day}`;
  const time = `${part.hour}:${part.minute}:${part.second} ${zone(part.timeZoneName)}`;
  return { iso, utc: `${day} ${iso.slice(11, 23)} UTC`, uk: ukDay === day ? time : `${ukDay} ${time}` };
}

/** The two names of the UK's time, whatever the browser's data call them. */
function zone(name: string | undefined): string {
  return name === "GMT+1" ? "BST" : name === "UTC" ? "GMT" : (name ?? "");
}

export function shownTimestamp(timestamp: Timestamp | undefined): Shown | undefined {
  return timestamp && shown(timestampDate(timestamp));
}

/** How long, in its two largest units. */
export function duration(value: Duration | undefined): string {
  if (!value) {
    return "not known";
  }
  return seconds(Number(value.seconds) + value.nanos / 1e9);
}

export function seconds(total: number): string {
  const whole = Math.max(0, Math.round(total));
  const units: [number, string][] = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) {
    return "0 s";
  }
  return units.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ");
}
