// What became of every position of every source: what `gridtrail reconcile` prints. A proof takes as long as the lake is large.

import { useState } from "preact/hooks";
import { usePages } from "../../answer.ts";
import { Facts, Heading, LoadMore, Progress, Table, Time } from "../../components/basics.tsx";
import type { Reconciliation, ReconciledSource, ReconcileResponse } from "../../gen/gridtrail/operate/v1/operate_pb.ts";
import { count } from "../../model/count.ts";
import { duration } from "../../model/time.ts";
import { operators } from "../../operate.ts";

const ASKED_EVERY_MS = 1_000;

/** Asks until no proof is being made any more. */
async function prove(anew: boolean, signal: AbortSignal): Promise<ReconcileResponse> {
  let answer = await operators.reconcile({ anew }, { signal });
  while (answer.running) {
    await new Promise((resolve) => setTimeout(resolve, ASKED_EVERY_MS));
    signal.throwIfAborted();
    answer = await operators.reconcile({}, { signal });
  }
  return answer;
}

export function ReconciliationPage() {
  const [round, setRound] = useState(0);
  const answer = usePages<ReconcileResponse, ReconciledSource>(
    `reconciliation ${round}`,
    (pageToken, signal) => (pageToken ? operators.reconcile({ pageToken }, { signal }) : prove(round > 0, signal)),
    (page) => ({ rows: page.reconciliation?.sources ?? [], next: page.nextPageToken }),
  );
  const proof = answer.data?.reconciliation;
  return (
    <>
      <Heading>Reconciliation</Heading>
      <p class="lead">Proved from the evidence of the commits: every position of every source ended in exactly one place, and nothing of the evidence was changed.</p>
      <Progress of={answer} what="Proving what became of every position …" />
      {proof && (
        <>
          <Verdict of={proof} />
          <p class="tools">
            <button type="button" onClick={() => setRound(round + 1)}>
              Prove it anew
            </button>
          </p>
          <Facts
            of={[
              ["Made at", <Time at={proof.at} />],
              ["It took", duration(proof.took)],
              ["Version of the main table", count(proof.version)],
              ["Commits with evidence", count(proof.commits)],
              ["Files that the logs name", count(proof.files)],
              ["Dead letters of batches that came to nothing", count(proof.lettersSuperseded)],
            ]}
          />
          {proof.faults.length > 0 && (
            <Table caption="What does not add up" columns={["Kind", "Source", "Version", "What was found"]}>
              {proof.faults.map(({ kind, source, version, what }, at) => (
                <tr key={at}>
                  <td>{kind}</td>
                  <td>{source || <span class="none">–</span>}</td>
                  <td class="number">{version === undefined ? <span class="none">–</span> : count(version)}</td>
                  <td>{what}</td>
                </tr>
              ))}
            </Table>
          )}
          <Table
            caption="Sources"
            columns={["Source", "Up to", "Records", "Stored", "Parked", "Duplicates", "Dead letters", "Replayed", "Dismissed", "Skipped", "To know"]}
          >
            {answer.rows.map((source) => (
              <tr key={source.source}>
                <td>{source.name}</td>
                {[source.to, source.records, source.stored, source.parked, source.duplicates, source.deadLettered, source.replayed, source.dismissed].map((of, at) => (
                  <td key={at} class="number">
                    {count(of)}
                  </td>
                ))}
                <td>
                  {Object.entries(source.skipped)
                    .map(([why, of]) => `${count(of)} ${why}`)
                    .join(", ") || <span class="none">–</span>}
                </td>
                <td>{source.events.join(" ") || <span class="none">–</span>}</td>
              </tr>
            ))}
          </Table>
          <LoadMore of={answer} />
          {proof.retention.length > 0 && (
            <Table caption="What retention took away" columns={["Month", "When", "Version", "Files", "Rows that went", "Rows that stayed", "Of these by legal hold"]}>
              {proof.retention.map(({ month, at, version, files, rowsDropped, rowsKept, rowsHeld }) => (
                <tr key={`${month} ${version}`}>
                  <td>{month}</td>
                  <td>
                    <Time at={at} />
                  </td>
                  {[version, files, rowsDropped, rowsKept, rowsHeld].map((of, index) => (
                    <td key={index} class="number">
                      {count(of)}
                    </td>
                  ))}
                </tr>
              ))}
            </Table>
          )}
        </>
      )}
    </>
  );
}

function Verdict({ of }: { of: Reconciliation }) {
  const told = `${count(of.sourceCount)} sources, ${count(of.commits)} commits, ${count(of.files)} files`;
  return of.clean ? (
    <p class="note done" role="status">
      Clean: every position is accounted for, at version {count(of.version)} ({told}).
    </p>
  ) : (
    <p class="note trouble" role="alert">
      {of.faultCount === 1n ? "1 thing does not add up" : `${count(of.faultCount)} things do not add up`}, at version {count(of.version)} ({told})
      {of.faultCount > BigInt(of.faults.length) && `; the first ${of.faults.length} are below`}.
    </p>
  );
}
