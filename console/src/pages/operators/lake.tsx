// The state of the lake: what `gridtrail lake status` prints, and how fresh each source is.

import { useAnswer, usePages } from "../../answer.ts";
import { Facts, Heading, LoadMore, Progress, Table, Time } from "../../components/basics.tsx";
import type { GetLakeStatusResponse } from "../../gen/gridtrail/operate/v1/operate_pb.ts";
import type { GetFreshnessResponse } from "../../gen/gridtrail/query/v1/freshness_pb.ts";
import { count } from "../../model/count.ts";
import { duration } from "../../model/time.ts";
import { operators } from "../../operate.ts";
import { Level, Sources } from "../freshness.tsx";

export function LakePage() {
  const status = useAnswer("status", (signal) => operators.getLakeStatus({}, { signal }));
  const freshness = usePages<GetFreshnessResponse, never>(
    "freshness",
    (pageToken, signal) => operators.getFreshness({ days: 1, pageToken }, { signal }),
    (page) => ({ rows: [], next: page.nextPageToken }),
  );
  return (
    <>
      <Heading>State of the lake</Heading>
      <Progress of={status} what="Asking what the lake holds …" />
      {status.data && <Status of={status.data} />}
      <h2>Freshness</h2>
      <Progress of={freshness} what="Asking how fresh the lake is …" />
      {freshness.data && (
        <>
          <Facts
            of={[
              ["Level", <Level of={freshness.data.level} />],
              ["Complete up to", <Time at={freshness.data.completeUpTo} />],
              ["Answers that wait for their request", freshness.data.waiting ? count(freshness.data.waiting.rows) : ""],
              ["Broken evidence", count(freshness.data.brokenEvidence)],
            ]}
          />
          <Sources pages={freshness.pages} />
          <LoadMore of={freshness} />
        </>
      )}
    </>
  );
}

function Status({ of }: { of: GetLakeStatusResponse }) {
  return (
    <>
      {of.stopped.map(({ table, version, entry, why, remedy }) => (
        <div class="note trouble" role="alert" key={table}>
          <p>
            The table {table} is answered from version {String(version)}, and nothing is written to it: {entry}: {why}
          </p>
          <p>To go on: {remedy}</p>
        </div>
      ))}
      <Facts
        of={[
          ["As of", <Time at={of.at} />],
          ["Compactions that are due", count(of.compactionsDue)],
          ["Buckets a month", String(of.buckets)],
          ["Legal holds in force", count(of.holds)],
          ["Records are kept for", `${of.retentionMonths} months`],
          ["Removed files are kept for", duration(of.filesKept)],
          ["The log is kept for", duration(of.logKept)],
          ["Versions can be asked for", duration(of.asOf)],
        ]}
      />
      <Table caption="Tables" columns={["Table", "Format", "Version", "Files", "Bytes", "Rows"]}>
        {of.tables.map((table) => (
          <tr key={table.name}>
            <td>{table.name}</td>
            <td class="number">
              {table.format}
              {table.newestFormat > table.format && ` (this build writes ${table.newestFormat}: “gridtrail lake upgrade”)`}
            </td>
            <td class="number">{count(table.version)}</td>
            <td class="number">{count(table.files)}</td>
            <td class="number">{count(table.bytes)}</td>
            <td class="number">{table.rows === undefined ? <span class="none">–</span> : count(table.rows)}</td>
          </tr>
        ))}
      </Table>
      {of.months.length > 0 && (
        <Table caption="Months of the main table" columns={["Month", "Runs of level 0", "Runs in buckets", "Most in one", "Rows", "Bytes", "Oldest", "Newest"]}>
          {of.months.map((month) => (
            <tr key={month.month}>
              <td>{month.month}</td>
              <td class="number">{count(month.level0Runs)}</td>
              <td class="number">{count(month.bucketRuns)}</td>
              <td class="number">{count(month.bucketRunsMax)}</td>
              <td class="number">{count(month.rows)}</td>
              <td class="number">{count(month.bytes)}</td>
              <td>
                <Time at={month.oldest} />
              </td>
              <td>
                <Time at={month.newest} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      {of.expiring.length > 0 && (
        <ul>
          {of.expiring.map(({ month, rows, whole }) => (
            <li key={month}>
              Retention would take {whole ? "all" : "some"} of {count(rows)} rows of {month}.
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
