// One row with its full details, beside the table: UC_ServiceAudit_001 and UC_MeterRead_001, "Full Details".

import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { auditTrails, meterReads } from "../api.ts";
import { usePages } from "../answer.ts";
import type { GetResponse, StatusChange, TrailDetails, TrailRow } from "../gen/gridtrail/query/v1/query_pb.ts";
import { Copied, Facts, LoadMore, Progress, Stamp, Time } from "./basics.tsx";

export type View = "audit" | "meter-reads";

const HISTORY_PAGE = 50;

export function Details({ view, reference, onClose }: { view: View; reference: string; onClose: () => void }) {
  const client = view === "audit" ? auditTrails : meterReads;
  const answer = usePages<GetResponse, StatusChange>(
    `${view} ${reference}`,
    (historyPageToken, signal) => client.get({ reference, historyPageSize: HISTORY_PAGE, historyPageToken }, { signal }),
    (page) => ({ rows: page.row?.details?.statusChangeHistory ?? [], next: page.row?.details?.nextHistoryPageToken ?? "" }),
  );
  const panel = useRef<HTMLHeadingElement>(null);
  useEffect(() => panel.current?.focus(), [reference]);
  const row = answer.data?.row;
  const details = row?.details;
  return (
    <aside class="panel" aria-label="Full details" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div class="panel-head">
        <h2 ref={panel} tabIndex={-1}>
          Full details
        </h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <Progress of={answer} what="Looking the row up …" />
      {row && details && (
        <>
          {details.awaitingRequest && <p class="note">The request itself is not on record yet; this is what is known of its answer.</p>}
          <Facts of={factsOf(row, details)} />
          <Disputes of={details} />
          <h3>Status Change History</h3>
          <p class="small">
            {answer.rows.length} of {String(details.statusChangeHistoryCount)} entries, oldest first.
          </p>
          <History entries={answer.rows} />
          <LoadMore of={answer} name="Show more of the history" />
          <Stamp completeUpTo={answer.data?.completeUpTo} version={answer.data?.snapshotVersion ?? ""} />
        </>
      )}
    </aside>
  );
}

function factsOf(row: TrailRow, details: TrailDetails): [string, ComponentChildren][] {
  const variant = [row.serviceReferenceVariant, details.serviceReferenceVariantName].filter((text) => text).join(" ");
  const facts: [string, ComponentChildren][] = [
    ["Request ID", <Copied text={details.requestId} />],
    ["Response ID", <Copied text={details.responseId} />],
    ["DCC Service User Organisation ID", row.dccServiceUserOrganisationId],
    ["Device ID", <Copied text={row.deviceId} />],
    ["CSP Region", details.cspRegionRaw && details.cspRegionRaw !== details.cspRegion ? `${details.cspRegion} (${details.cspRegionRaw})` : details.cspRegion],
    ["Mode of operation", details.modeOfOperation],
    ["Preceding Request ID", <Copied text={details.precedingRequestId} />],
    ["MPxN", <Copied text={row.mpxn} />],
    ["Service Reference", row.serviceReference],
    ["Service Reference Variant", variant],
    ["Command Variant", details.commandVariant === undefined ? "" : String(details.commandVariant)],
    ["Response Code", details.responseCode],
    ["Current Status", details.currentStatus],
    ["Anomaly Detection Flag", details.anomalyDetectionFlag ? "Yes" : "No"],
    ["Service Request Received Date/Time", <Time at={row.serviceRequestReceivedAt} />],
    ["Service Response Sent Date/Time", <Time at={row.serviceResponseSentAt} />],
  ];
  // What gridtrail knows beyond them, where it does.
  const more: [string, ComponentChildren, boolean][] = [
    ["Alert code", details.alertCode, details.alertCode !== ""],
    ["DSP Schedule ID", String(details.dspScheduleId), details.dspScheduleId !== undefined],
    ["Execution Date/Time", <Time at={details.executionAt} />, details.executionAt !== undefined],
    ["Last recorded", <Time at={details.lastRecordedAt} />, details.lastRecordedAt !== undefined],
    ["Other Devices named", listed(details.concernedDeviceIds, details.concernedDeviceCount), details.concernedDeviceCount > 0],
    ["Other meter points named", listed(details.concernedMpxns, details.concernedMpxnCount), details.concernedMpxnCount > 0],
  ];
  return [...facts, ...more.filter(([, , isKnown]) => isKnown).map(([name, value]): [string, ComponentChildren] => [name, value])];
}

function listed(first: readonly string[], count: number) {
  return (
    <>
      {first.join(", ")}
      {count > first.length && `, and ${count - first.length} more`}
    </>
  );
}

function Disputes({ of }: { of: TrailDetails }) {
  return of.disputes.length === 0 ? null : (
    <section class="note" aria-label="Disputes">
      <h3>Disputes</h3>
      <p>Events claim different values for these fields; the smallest is shown.</p>
      <ul>
        {of.disputes.map(({ field, otherClaims, otherClaimsCount }) => (
          <li key={field}>
            <strong>{field}</strong>: also {otherClaims.join(", ")}
            {otherClaimsCount > BigInt(otherClaims.length) && `, and ${otherClaimsCount - BigInt(otherClaims.length)} more`}
          </li>
        ))}
      </ul>
    </section>
  );
}

function History({ entries }: { entries: readonly StatusChange[] }) {
  return (
    <ol class="time-line">
      {entries.map((entry, at) => (
        <li key={at}>
          <b>{entry.state}</b>
          {entry.responseCode && <span class="code">{entry.responseCode}</span>}
          <Time at={entry.at} />
          {entry.instructionNumber !== undefined && (
            <span class="small">
              instruction {entry.instructionNumber} of {entry.instructionTotal}
            </span>
          )}
          {entry.cause && <span class="small">{entry.cause}</span>}
        </li>
      ))}
    </ol>
  );
}
