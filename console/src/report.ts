// A report on its way: what it says of itself, its rows, and how far it is.

import { Code, ConnectError } from "@connectrpc/connect";
import { useEffect, useRef, useState } from "preact/hooks";
import { reports, type Trouble, troubleOf } from "./api.ts";
import { type Report, type ReportAbout, ReportForm, type ReportRow } from "./gen/gridtrail/query/v1/report_pb.ts";
import { type Picture, tallyOf } from "./model/picture.ts";
import { useSession } from "./session.tsx";

/** Rows that a page shows: whoever wants more wants a file. */
export const SHOWN_MAX = 1_000;

/** What is asked of a report. */
export interface Asked {
  parameters: Record<string, string>;
  userIds: string[];
}

/** How far a report is. */
export interface Making {
  about?: ReportAbout;
  rows: ReportRow[];
  rowCount: number;
  picture?: Picture | string | undefined;
  bytes: number;
  seconds: number;
}

/** Something of a report that takes its time: it can be stopped. */
export interface Work<T> {
  data: T;
  isWaiting: boolean;
  isWhole: boolean;
  wasStopped: boolean;
  trouble: Trouble | undefined;
  stop(): void;
}

// A report says by itself how long it may take.
const NO_TIMEOUT = 0;

/** Makes a report and tells how far it is; the data of the file, in parts, are handed on as they come. */
async function make(report: Report, asked: Asked, form: ReportForm, signal: AbortSignal, tell: (so: Making) => void, take: (data: Uint8Array) => void): Promise<Making> {
  const tally = form === ReportForm.ROWS ? tallyOf(report) : undefined;
  let making: Making = { rows: [], rowCount: 0, bytes: 0, seconds: 0 };
  const request = { name: report.name, version: report.version, parameters: asked.parameters, userIds: asked.userIds, form };
  for await (const { part } of reports.run(request, { signal, timeoutMs: NO_TIMEOUT })) {
    switch (part.case) {
      case "about":
        making = { ...making, about: part.value };
        break;
      case "progress":
        making = { ...making, seconds: Number(part.value.elapsed?.seconds ?? 0), rowCount: Math.max(making.rowCount, Number(part.value.rows)) };
        break;
      case "rows":
        tally?.count(part.value.rows);
        making = { ...making, rows: [...making.rows, ...part.value.rows.slice(0, SHOWN_MAX - making.rows.length)] };
        break;
      case "data":
        take(part.value);
        making = { ...making, bytes: making.bytes + part.value.length };
        break;
      case "end":
        if (Number(part.value.byteCount) !== making.bytes) {
          throw unfinished();
        }
        return { ...making, rowCount: Number(part.value.rowCount), picture: tally?.picture() };
    }
    tell(making);
  }
  throw unfinished();
}

function unfinished(): ConnectError {
  return new ConnectError("The report ended before it was whole: make it again.", Code.Unavailable);
}

const NOTHING: Making = { rows: [], rowCount: 0, bytes: 0, seconds: 0 };

/** Makes a report whenever `key` is another; `undefined` makes none. */
export function useReport(key: string | undefined, report: Report | undefined, asked: Asked): Work<Making> & { again(): void } {
  const { ended } = useSession();
  const [state, setState] = useState<Omit<Work<Making>, "stop">>({ data: NOTHING, isWaiting: false, isWhole: false, wasStopped: false, trouble: undefined });
  const [attempt, setAttempt] = useState(0);
  const controller = useRef<AbortController>(undefined);
  const known = useRef({ report, asked });
  known.current = { report, asked };
  const isKnown = report !== undefined;
  useEffect(() => {
    const { report, asked } = known.current;
    if (key === undefined || !report) {
      setState({ data: NOTHING, isWaiting: false, isWhole: false, wasStopped: false, trouble: undefined });
      return undefined;
    }
    const mine = new AbortController();
    controller.current = mine;
    const tell = (data: Making) => !mine.signal.aborted && setState({ data, isWaiting: true, isWhole: false, wasStopped: false, trouble: undefined });
    tell(NOTHING);
    make(report, asked, ReportForm.ROWS, mine.signal, tell, () => {}).then(
      (data) => !mine.signal.aborted && setState({ data, isWaiting: false, isWhole: true, wasStopped: false, trouble: undefined }),
      (error: unknown) => {
        if (!mine.signal.aborted) {
          const trouble = troubleOf(error);
          if (trouble?.isLoggedOut) {
            ended();
          }
          setState({ data: NOTHING, isWaiting: false, isWhole: false, wasStopped: false, trouble });
        }
      },
    );
    return () => mine.abort();
  }, [key, isKnown, attempt, ended]);
  const stop = () => {
    controller.current?.abort();
    setState({ data: NOTHING, isWaiting: false, isWhole: false, wasStopped: true, trouble: undefined });
  };
  return { ...state, stop, again: () => setAttempt((count) => count + 1) };
}

/** A file of a report, handed to the browser once it is whole. */
export function useDownload(report: Report | undefined, asked: Asked): Work<Making> & { form: ReportForm; begin(form: ReportForm, name: string, type: string): void } {
  const { ended } = useSession();
  const idle = { data: NOTHING, isWaiting: false, isWhole: false, wasStopped: false, trouble: undefined, form: ReportForm.UNSPECIFIED };
  const [state, setState] = useState<Omit<Work<Making>, "stop"> & { form: ReportForm }>(idle);
  const controller = useRef<AbortController>(undefined);
  useEffect(() => () => controller.current?.abort(), []);
  const begin = (form: ReportForm, name: string, type: string) => {
    if (!report) {
      return;
    }
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    const parts: BlobPart[] = [];
    const tell = (data: Making) => !mine.signal.aborted && setState({ ...idle, form, data, isWaiting: true });
    tell(NOTHING);
    make(report, asked, form, mine.signal, tell, (data) => parts.push(data as BlobPart)).then(
      (data) => {
        if (!mine.signal.aborted) {
          keep(name, new Blob(parts, { type }));
          setState({ ...idle, form, data, isWhole: true });
        }
      },
      (error: unknown) => {
        if (!mine.signal.aborted) {
          const trouble = troubleOf(error);
          if (trouble?.isLoggedOut) {
            ended();
          }
          setState({ ...idle, form, trouble });
        }
      },
    );
  };
  const stop = () => {
    controller.current?.abort();
    setState({ ...idle, wasStopped: true });
  };
  return { ...state, stop, begin };
}

/** Hands a file to the browser, which asks where to keep it. */
function keep(name: string, file: Blob): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
