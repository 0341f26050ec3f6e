// The columns of the tables of results, exactly as the specification has them.

import type { TrailRow } from "../gen/gridtrail/query/v1/query_pb.ts";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { shownTimestamp } from "./time.ts";

export interface Column {
  name: string;
  /** As a CSV has it. */
  text: (row: TrailRow) => string;
  /** What a page does with it: to copy, or a time. */
  kind?: "identifier" | "time" | "status";
  time?: (row: TrailRow) => Timestamp | undefined;
}

const ORGANISATION: Column = { name: "DCC Service User Organisation ID", text: (row) => row.dccServiceUserOrganisationId };
const DEVICE: Column = { name: "Device ID", text: (row) => row.deviceId, kind: "identifier" };
const SEQUENCE: Column = {
  name: "GBCS Transaction Sequence Number",
  text: (row) => (row.gbcsTransactionSequenceNumber === undefined ? "" : String(row.gbcsTransactionSequenceNumber)),
};
const MPXN: Column = { name: "MPxN", text: (row) => row.mpxn, kind: "identifier" };
const RECEIVED = time("Service Request Received Date/Time", (row) => row.serviceRequestReceivedAt);
const SENT = time("Service Response Sent Date/Time", (row) => row.serviceResponseSentAt);
const REFERENCE: Column = { name: "Service Reference", text: (row) => row.serviceReference };
const VARIANT: Column = { name: "Service Reference Variant", text: (row) => row.serviceReferenceVariant };
const STATUS: Column = { name: "Simplified transaction status", text: (row) => row.simplifiedTransactionStatus, kind: "status" };

function time(name: string, of: (row: TrailRow) => Timestamp | undefined): Column {
  return { name, kind: "time", time: of, text: (row) => shownTimestamp(of(row))?.iso ?? "" };
}

/** UC_ServiceAudit_001. */
export const AUDIT_COLUMNS: readonly Column[] = [ORGANISATION, DEVICE, SEQUENCE, MPXN, RECEIVED, SENT, REFERENCE, STATUS];

/** UC_MeterRead_001. */
export const METER_READ_COLUMNS: readonly Column[] = [ORGANISATION, DEVICE, SEQUENCE, MPXN, RECEIVED, SENT, VARIANT, REFERENCE, STATUS];

/** The variants that are meter reads. */
export const METER_READ_VARIANTS = ["4.8.1", "4.8.2", "4.8.3", "4.17"] as const;
