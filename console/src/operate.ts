// Calls of the service for operators. An operator's token is in this variable and nowhere else: it is gone when the page is closed or loaded anew.

import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { OperatorService } from "./gen/gridtrail/operate/v1/operate_pb.ts";

let token: string | undefined;

export function useOperatorToken(given: string | undefined): void {
  token = given;
}

const withToken: Interceptor = (next) => (request) => {
  // Beside a token no cookie counts, whoever may be logged in in this browser.
  request.header.set("authorization", `Bearer ${token ?? "none"}`);
  return next(request);
};

export const operators: Client<typeof OperatorService> = createClient(
  OperatorService,
  createGrpcWebTransport({ baseUrl: location.origin, interceptors: [withToken], defaultTimeoutMs: 60_000 }),
);
