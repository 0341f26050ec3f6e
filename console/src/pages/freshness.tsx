// How fresh the answers are, by source, and the daily evidence of it.

import { freshness } from "../api.ts";
import { usePages } from "../answer.ts";
import { FreshnessLevel, type GetFreshnessResponse } from "../gen/gridtrail/query/v1/freshness_pb.ts";
import { duration } from "../model/time.ts";
import { Facts, Heading, LoadMore, Progress, Table, Time } from "../components/basics.tsx";

const LEVEL_NAMES: Record<number, string> = {
  [FreshnessLevel.FRESH]: "Fresh",
  [FreshnessLevel.WARN]: "Warning",
  [FreshnessLevel.CRITICAL]: "Critical",
  [FreshnessLevel.BREACH]: "Breach",
};

export function Level({ of }: { of: FreshnessLevel }) {
  const name = LEVEL_NAMES[of] ?? "Not known";
  return <span class={`level ${name.toLowerCase()}`}>{name}</span>;
}

export function Sources({ pages }: { pages: readonly GetFreshnessResponse[] }) {
  return (
    <Table caption="Sources" columns={["Source", "Level", "Complete up to", "Lag", "Records", "Dead letters that are open", "Partitions"]}>
      {pages.flatMap((page) =>
        page.sources.map((source, at) => (
          <tr key={`${source.cluster} ${source.name} ${at}`}>
            <td>
              {source.name}
              {source.cluster && <span class="small"> {source.cluster}</span>}
            </td>
            <td>
              <Level of={source.level} />
            </td>
            <td>
              <Time at={source.completeUpTo} />
            </td>
            <td>{duration(source.lag)}</td>
            <td class="number">{String(source.records)}</td>
            <td class="number">{String(source.openDeadLetters)}</td>
            <td class="number">{source.partitions.length || "–"}</td>
          </tr>
        )),
      )}
    </Table>
  );
}

export function FreshnessPage() {
  const answer = usePages<GetFreshnessResponse, never>(
    "freshness",
    (pageToken, signal) => freshness.get({ days: 31, pageToken }, { signal }),
    (page) => ({ rows: [], next: page.nextPageToken }),
  );
  const { data, pages } = answer;
  return (
    <>
      <Heading>Freshness of the data</Heading>
      <p class="lead">Data are to be shown within 24 hours of their receipt or generation by the DCC. This is the evidence of it.</p>
      <Progress of={answer} what="Asking how fresh the data are …" />
      {data && (
        <>
          {data.stopped && (
            <p class="note trouble" role="alert">
              The server stays at its version: {data.stopped}
            </p>
          )}
          <Facts
            of={[
              ["Level", <Level of={data.level} />],
              ["Complete up to", <Time at={data.completeUpTo} />],
              ["As of", <Time at={data.at} />],
              ["Levels begin at", `warning ${duration(data.levels?.warn)}, critical ${duration(data.levels?.critical)}, breach ${duration(data.levels?.breach)}`],
              ["Version of the data", data.snapshotVersion],
              [
                "Answers that wait for their request",
                data.waiting ? `${data.waiting.rows}${data.waiting.late > 0n ? `, of which ${data.waiting.late} count as late` : ""}` : "",
              ],
            ]}
          />
          <Sources pages={pages} />
          <Table
            caption="Day by day, in UTC"
            columns={["Day", "Source", "Level", "Longest from receipt to search", "Mean", "Records", "Late", "Dead letters that are open", "What was"]}
          >
            {pages.flatMap((page) =>
              page.days.map((day, at) => (
                <tr key={`${day.day} ${day.cluster} ${day.source} ${at}`}>
                  <td>{day.day}</td>
                  <td>{day.source}</td>
                  <td>
                    <Level of={day.level} />
                  </td>
                  <td>{duration(day.receiptToQueryableWorst)}</td>
                  <td>{duration(day.receiptToQueryableMean)}</td>
                  <td class="number">{String(day.records)}</td>
                  <td class="number">{day.lateLeast === day.lateMost ? String(day.lateLeast) : `${day.lateLeast} to ${day.lateMost}`}</td>
                  <td class="number">{String(day.openDeadLetters)}</td>
                  <td>{day.events.join(" ") || <span class="none">–</span>}</td>
                </tr>
              )),
            )}
          </Table>
          <LoadMore of={answer} />
        </>
      )}
    </>
  );
}
