import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { TrailRowSchema } from "../gen/gridtrail/query/v1/query_pb.ts";
import { AUDIT_COLUMNS, METER_READ_COLUMNS, METER_READ_VARIANTS } from "./columns.ts";

const names = (columns: typeof AUDIT_COLUMNS) => columns.map((column) => column.name);

it("tables have exactly the fields of the specification, in its order", () => {
  const until = [
    "DCC Service User Organisation ID",
    "Device ID",
    "GBCS Transaction Sequence Number",
    "MPxN",
    "Service Request Received Date/Time",
    "Service Response Sent Date/Time",
  ];
  expect(names(AUDIT_COLUMNS)).toEqual([...until, "Service Reference", "Simplified transaction status"]);
  expect(names(METER_READ_COLUMNS)).toEqual([...until, "Service Reference Variant", "Service Reference", "Simplified transaction status"]);
  expect(METER_READ_VARIANTS).toEqual(["4.8.1", "4.8.2", "4.8.3", "4.17"]);
});

it("a row as text has what is known, and nothing where it is not", () => {
  const row = create(TrailRowSchema, {
    deviceId: "02-1D-10-83-F3-E7-83-E0",
    gbcsTransactionSequenceNumber: 18446744073709551615n,
    serviceRequestReceivedAt: { seconds: 1772501324n, nanos: 179_000_000 },
    simplifiedTransactionStatus: "In Progress",
  });
  expect(AUDIT_COLUMNS.map((column) => column.text(row))).toEqual([
    "", "02-1D-10-83-F3-E7-83-E0", "18446744073709551615", "", "2026-03-03T01:28:44.179Z", "", "", "In Progress",
  ]);
});
