// The own access log: what somebody asked for, and when.

import { accessLog } from "../api.ts";
import { usePages } from "../answer.ts";
import type { Call, ListCallsResponse } from "../gen/gridtrail/query/v1/access_log_pb.ts";
import { csv, save } from "../model/csv.ts";
import { shownTimestamp } from "../model/time.ts";
import { Copied, Heading, LoadMore, Progress, Table, Time } from "../components/basics.tsx";

const COLUMNS = ["Time", "Call", "Outcome", "Key", "Service Reference Variant", "Rows", "Rows of other Users", "Took", "Address", "Session"] as const;

export function CallsPage() {
  const answer = usePages<ListCallsResponse, Call>(
    "calls",
    (pageToken, signal) => accessLog.list({ pageToken }, { signal }),
    (page) => ({ rows: page.calls, next: page.nextPageToken }),
  );
  const { data, rows } = answer;
  return (
    <>
      <Heading>Your own access log</Heading>
      <p class="lead">Every call of yours that was answered or refused, by this page or otherwise, newest first. It shows nobody else’s. A call is here about a second after its answer.</p>
      <Progress of={answer} what="Reading the access log …" />
      {data && (
        <section aria-label="Results">
          <p class="count" role="status">
            {rows.length} calls{answer.hasMore ? ", and there may be earlier ones" : ": all that are kept"}.
          </p>
          <p class="tools">
            <button type="button" onClick={answer.again}>
              Read it again
            </button>
            <button type="button" onClick={() => save("access-log.csv", csv(COLUMNS, rows.map(lineOf)))}>
              Save these calls as CSV
            </button>
          </p>
          <Table caption="Your calls" columns={COLUMNS}>
            {rows.map((call, at) => (
              <Row key={at} call={call} />
            ))}
          </Table>
          <LoadMore of={answer} />
        </section>
      )}
    </>
  );
}

function Row({ call }: { call: Call }) {
  const isWhole = call.outcome === "OK";
  return (
    <tr>
      <td>
        <Time at={call.at} />
      </td>
      <td>
        {call.call}
        {call.laterPage && <span class="small"> a later page</span>}
        {call.detail && <div class="small code">{call.detail}</div>}
      </td>
      <td>
        <span class={`status ${isWhole ? "success" : "failure"}`}>{call.outcome}</span>
        {call.reason && <div class="small">{call.reason}</div>}
      </td>
      <td>
        <Copied text={call.key} />
        {call.keyKinds.length > 0 && <div class="small">{call.keyKinds.join(", ")}</div>}
      </td>
      <td>{call.serviceReferenceVariants.join(", ") || <span class="none">–</span>}</td>
      <td class="number">{String(call.rows ?? "–")}</td>
      <td class="number">{String(call.rowsOfOthers ?? "–")}</td>
      <td class="number">{took(call)}</td>
      <td>{call.peer || <span class="none">–</span>}</td>
      <td>{call.session ? <span class="code">{call.session.slice(0, 8)}</span> : <span class="none">–</span>}</td>
    </tr>
  );
}

function took({ took: span }: Call): string {
  return span ? `${Number(span.seconds) * 1000 + Math.round(span.nanos / 1e6)} ms` : "–";
}

function lineOf(call: Call): string[] {
  return [
    shownTimestamp(call.at)?.iso ?? "",
    call.call,
    call.reason || call.outcome,
    call.key,
    call.serviceReferenceVariants.join(" "),
    String(call.rows ?? ""),
    String(call.rowsOfOthers ?? ""),
    took(call),
    call.peer,
    call.session,
  ];
}
