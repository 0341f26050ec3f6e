import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeAll, expect, it, vi } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";

let troubleOf: typeof import("./api.ts").troubleOf;
beforeAll(async () => {
  vi.stubGlobal("location", { origin: "https://ssi.example" });
  ({ troubleOf } = await import("./api.ts"));
});

const info = (reason: string, httpCode: string) => ({ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: "gridtrail", metadata: { http_code: httpCode } }) });

it("an error is told in the server's words, with its HTTP code and every field", () => {
  const fieldViolations = [{ field: "as_of", description: "a version" }];
  const error = new ConnectError("read the request", Code.InvalidArgument, undefined, [
    info("INVALID_REQUEST", "400"),
    { desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) },
  ]);
  expect(troubleOf(error)).toMatchObject({
    text: "Read the request.",
    fields: [{ field: "as_of", rule: "a version" }],
    httpCode: "400",
    reason: "INVALID_REQUEST",
    isLoggedOut: false,
    mayRetry: false,
  });
});

it("what can be tried again is offered, who is logged out is told apart, and what was stopped is no trouble", () => {
  const busy = new ConnectError("too many calls", Code.Unavailable, undefined, [info("BUSY", "503"), { desc: RetryInfoSchema, value: create(RetryInfoSchema) }]);
  expect(troubleOf(busy)).toMatchObject({ title: "The service cannot answer at the moment", mayRetry: true });
  expect(troubleOf(new ConnectError("log in", Code.Unauthenticated, undefined, [info("NO_IDENTITY", "401")]))?.isLoggedOut).toBe(true);
  expect(troubleOf(new ConnectError("stopped", Code.Canceled))).toBeUndefined();
});

it("a server that cannot be reached is not an error of the search", () => {
  expect(troubleOf(new TypeError("Failed to fetch"))).toMatchObject({ title: "The server cannot be reached", isLoggedOut: false, mayRetry: true });
});
