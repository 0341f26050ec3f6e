// Calls of the services, over gRPC-Web at the origin of the page. What stands for who asks is a cookie that no script can read; where nobody
// logs in by an Identity Provider, it is a token that a person gave, which is kept in this variable and nowhere else.

import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import { AccessLogService } from "./gen/gridtrail/query/v1/access_log_pb.ts";
import { FreshnessService } from "./gen/gridtrail/query/v1/freshness_pb.ts";
import { HubService } from "./gen/gridtrail/query/v1/hub_pb.ts";
import { InventoryService } from "./gen/gridtrail/query/v1/inventory_pb.ts";
import { AuditTrailService, MeterReadService } from "./gen/gridtrail/query/v1/query_pb.ts";
import { ReportService } from "./gen/gridtrail/query/v1/report_pb.ts";
import { SessionService } from "./gen/gridtrail/query/v1/session_pb.ts";

let token: string | undefined;
let heard: (() => void) | undefined;

export function useToken(given: string | undefined): void {
  token = given;
}

/** Has a function called after each call that the server answered for somebody who is logged in. */
export function onAnswer(call: () => void): void {
  heard = call;
}

const withToken: Interceptor = (next) => async (request) => {
  if (token !== undefined) {
    request.header.set("authorization", `Bearer ${token}`);
  }
  const answer = await next(request);
  heard?.();
  return answer;
};

const transport = createGrpcWebTransport({ baseUrl: location.origin, interceptors: [withToken], defaultTimeoutMs: 60_000 });

export const auditTrails: Client<typeof AuditTrailService> = createClient(AuditTrailService, transport);
export const meterReads: Client<typeof MeterReadService> = createClient(MeterReadService, transport);
export const inventory: Client<typeof InventoryService> = createClient(InventoryService, transport);
export const hubs: Client<typeof HubService> = createClient(HubService, transport);
export const freshness: Client<typeof FreshnessService> = createClient(FreshnessService, transport);
export const accessLog: Client<typeof AccessLogService> = createClient(AccessLogService, transport);
export const reports: Client<typeof ReportService> = createClient(ReportService, transport);
export const sessions: Client<typeof SessionService> = createClient(SessionService, transport);

/** What went wrong, as a page tells it. */
export interface Trouble {
  title: string;
  /** In the server's words, and what to do. */
  text: string;
  /** Each field that is not as it should be. */
  fields: { field: string; rule: string }[];
  /** The HTTP code that it stands for. */
  httpCode?: string;
  reason?: string;
  isLoggedOut: boolean;
  mayRetry: boolean;
}

const TITLES: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: "Something is not as it should be",
  [Code.NotFound]: "Nothing is there",
  [Code.PermissionDenied]: "Your Job Type Roles do not allow this",
  [Code.Unauthenticated]: "You are not logged in",
  [Code.ResourceExhausted]: "That is too much at once",
  [Code.Unavailable]: "The service cannot answer at the moment",
  [Code.DeadlineExceeded]: "The answer took too long",
  [Code.Aborted]: "What you may see has changed",
  [Code.Unimplemented]: "This server does not offer this",
};

/** `undefined`: the person stopped it. */
export function troubleOf(error: unknown): Trouble | undefined {
  const failure = ConnectError.from(error);
  if (failure.code === Code.Canceled) {
    return undefined;
  }
  const [info] = failure.findDetails(ErrorInfoSchema);
  const violations = failure.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  // What never left the browser, or never came back, has no words of the server's.
  const unreachable = !info && (failure.code === Code.Unknown || failure.code === Code.Internal);
  const trouble: Trouble = {
    title: TITLES[failure.code] ?? "This did not work",
    text: sentence(failure.rawMessage),
    fields: violations.map(({ field, description }) => ({ field, rule: description })),
    isLoggedOut: failure.code === Code.Unauthenticated,
    mayRetry: failure.findDetails(RetryInfoSchema).length > 0 || unreachable || failure.code === Code.Unavailable || failure.code === Code.DeadlineExceeded,
  };
  if (unreachable) {
    trouble.title = "The server cannot be reached";
    trouble.text = "Look whether the network is there, and try again. What you asked for stands in the address of this page.";
  }
  const httpCode = info?.metadata["http_code"];
  return { ...trouble, ...(httpCode ? { httpCode } : {}), ...(info ? { reason: info.reason } : {}) };
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) || !first ? first : `${first}.`;
}
