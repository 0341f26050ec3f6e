// Searches the service audit trail of a Device, page by page, over TLS.
//
//     node search.ts https://127.0.0.1:8473 ANCHORS.pem TOKEN-FILE DEVICE
import { readFileSync } from "node:fs";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { AuditTrailService, RowView } from "./gen/gridtrail/query/v1/query_pb.js";

const [baseUrl = "", anchors = "", tokenFile = "", device = ""] = process.argv.slice(2);
const token = readFileSync(tokenFile, "utf8").trim();
const transport = createGrpcTransport({
  baseUrl,
  nodeOptions: { ca: readFileSync(anchors) },
  interceptors: [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    },
  ],
});
const trails = createClient(AuditTrailService, transport);

try {
  let pageToken = "";
  do {
    const page = await trails.search({ key: { case: "deviceId", value: device }, pageSize: 20, pageToken, view: RowView.TABLE });
    for (const row of page.rows) {
      const received = row.serviceRequestReceivedAt && timestampDate(row.serviceRequestReceivedAt).toISOString();
      console.log([received, row.dccServiceUserOrganisationId, row.serviceReferenceVariant, row.simplifiedTransactionStatus].join("\t"));
    }
    pageToken = page.nextPageToken;
  } while (pageToken);
} catch (error) {
  const failure = ConnectError.from(error);
  const [info] = failure.findDetails(ErrorInfoSchema);
  console.error(`${failure.rawMessage} (${info?.reason}, HTTP ${info?.metadata["http_code"]})`);
  for (const { field, description } of failure.findDetails(BadRequestSchema).flatMap((details) => details.fieldViolations)) {
    console.error(`  ${field}: ${description}`);
  }
  process.exitCode = 1;
}
