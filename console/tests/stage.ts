// A lake of generated events, and a server of the real command over it, with the console and two Identity Providers: up for all tests.

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:net";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CONTEXT, makeKeys, metadata } from "./identity-provider.ts";

const ENTITY_ID = "https://ssi.example/saml";
/** The system of the tests by which people communicate with Devices. */
export const COMMUNICATE_WITH = "https://adaptor.example/ask?hub={device}";

/** What the tests know of the stage. */
export interface Stage {
  folder: string;
  url: string;
  /** Of a Device with rows of both suppliers. */
  device: string;
  mpxn: string;
  hub: string;
  rows: { first: number; second: number; meterReads: number };
  /** Of a Device with more rows of the first supplier than fit a page of any size. */
  busy: { device: string; rows: number };
  first: Supplier;
  second: Supplier;
}

export interface Supplier {
  party: string;
  userIds: string[];
  entityId: string;
}

interface Trail {
  device_id: string | null;
  mpxn: string | null;
  service_reference_variant: string | null;
  user_id: string;
}

const METER_READS = new Set(["4.8.1", "4.8.2", "4.8.3", "4.17"]);

function binary(): string {
  const path = process.env.GRIDTRAIL_BINARY;
  if (!path) {
    throw new Error("GRIDTRAIL_BINARY names no command: scripts/browser runs these tests");
  }
  return path;
}

export const run = (...args: string[]): string => execFileSync(binary(), args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

function lines<T>(path: string): T[] {
  return readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line) as T);
}

/** The Device that most can be seen of, by the two suppliers that have most rows of it. */
function cast(folder: string): Pick<Stage, "device" | "mpxn" | "rows" | "first" | "second"> {
  const trails = lines<Trail>(join(folder, "truth.jsonl"));
  const parties = new Map<string, string>();
  for (const { assigned } of lines<{ assigned?: { userId: string; party: string } }>(join(folder, "events/parties.access.jsonl"))) {
    if (assigned) {
      parties.set(assigned.userId, assigned.party);
    }
  }
  const devices = new Map<string, Trail[]>();
  for (const trail of trails) {
    if (trail.device_id && trail.mpxn) {
      devices.set(trail.device_id, [...(devices.get(trail.device_id) ?? []), trail]);
    }
  }
  const supplier = (party: string, at: number): Supplier => ({
    party,
    userIds: [...parties].filter(([, of]) => of === party).map(([id]) => id),
    entityId: `https://idp-${at}.example`,
  });
  for (const device of [...devices.keys()].sort((a, b) => (devices.get(b)?.length ?? 0) - (devices.get(a)?.length ?? 0))) {
    const of = trails.filter((trail) => trail.device_id === device);
    const byParty = new Map<string, number>();
    for (const { user_id } of of) {
      const party = parties.get(user_id) ?? "";
      byParty.set(party, (byParty.get(party) ?? 0) + 1);
    }
    const suppliers = [...byParty].filter(([party]) => party !== "").sort((a, b) => b[1] - a[1]);
    const reads = of.filter(({ service_reference_variant }) => METER_READS.has(service_reference_variant ?? "")).length;
    const [first, second] = suppliers;
    if (first && second && reads > 0) {
      return {
        device,
        mpxn: of.find(({ mpxn }) => mpxn)?.mpxn ?? "",
        rows: { first: first[1], second: second[1], meterReads: reads },
        first: supplier(first[0], 1),
        second: supplier(second[0], 2),
      };
    }
  }
  throw new Error("no Device has rows of two Parties");
}

const BUSY = { device: "02-1D-10-00-00-00-00-01", rows: 1_100 };

/** Requests of one User to a Device, one a second. */
function requestsTo({ device, rows }: Stage["busy"], userId: string): string {
  const line = (_: unknown, at: number) => {
    const counter = String(Date.parse("2026-03-02T00:00:00Z") + at * 1_000);
    const receivedAt = new Date(Number(counter)).toISOString();
    const correlation = {
      userId,
      requestId: `${userId}:${device}:${counter}`,
      requestReceivedAt: receivedAt,
      commandVariant: 1,
      deviceId: device,
      serviceReferenceVariant: "4.8.1",
      gbcsOriginatorCounter: counter,
    };
    return `${JSON.stringify({ eventId: `busy-${at}`, recordedAt: receivedAt, correlation, requestReceived: {} })}\n`;
  };
  return Array.from({ length: rows }, line).join("");
}

function secret(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
}

/** A record that is no event, and would be more than text if a page took it for such. */
const BAD = "no event <img src=x onerror=alert(1)>";

/** Has the lake take in a file of two records that cannot be read, if it has not. */
export function takeInBadRecords(folder: string): void {
  const path = join(folder, "bad.jsonl");
  writeFileSync(path, `${BAD}\n${BAD} again\n`);
  // It ends with the exit code that says that no record could be read.
  spawnSync(binary(), ["ingest", path, "--lake", join(folder, "lake")], { stdio: "ignore" });
}

/** Starts a server, and waits until it says that it answers. All that it can say goes to a file, where one is named. */
export async function serve(args: string[], log?: string): Promise<{ url: string; server: ChildProcess }> {
  const level = log === undefined ? "warn" : "trace";
  const server = spawn(binary(), ["serve", "--log", level, "--no-maintenance", ...args], { stdio: ["ignore", "pipe", log === undefined ? "inherit" : openSync(log, "a")] });
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: server.stdout as NodeJS.ReadableStream }).once("line", resolve);
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return { url, server };
}

export async function end(server: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await ended;
}

/** Whose certificates count. */
export function trustArgs(folder: string): string[] {
  return ["--saml-anchors", join(folder, "anchors.pem"), "--saml-revoked", join(folder, "revoked.pem")];
}

/** How a server of the console is started, over the stage's lake. */
export function consoleArgs(folder: string, port: number): string[] {
  const at = (name: string) => join(folder, name);
  return [
    "--console", "--communicate-with", COMMUNICATE_WITH, "--lake", at("lake"), "--listen", `127.0.0.1:${port}`, "--tls-certificate", at("tls.pem"), "--tls-key", at("tls.key"),
    "--public-key", at("dev.pub.pem"), "--session-key", at("session.pem"), "--saml-entity-id", ENTITY_ID,
    "--saml-acs-url", `https://127.0.0.1:${port}/saml/acs`, ...trustArgs(folder),
  ];
}

export default async function start(): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "gridtrail-browser-"));
  const at = (name: string) => join(folder, name);
  run("generate", "--out", at("events"), "--events", "60000", "--days", "7", "--inventory", "--truth", at("truth.jsonl"));
  const found = cast(folder);
  writeFileSync(at("events/busy.jsonl"), requestsTo(BUSY, found.first.userIds[0] ?? ""));
  run("ingest", at("events"), "--lake", at("lake"));
  makeKeys(folder);
  secret(at("session.pem"), generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  run("dev-certificate", "--certificate", at("tls.pem"), "--key", at("tls.key"), "--name", "localhost", "--name", "127.0.0.1");
  run("token", "--key", at("dev.pem"), "--public-key-out", at("dev.pub.pem"), "--party", "none", "--user-id", "90-B3-D5-1F-30-02-00-00", "--role", "role-01");
  for (const { entityId, party } of [found.first, found.second]) {
    writeFileSync(at("idp.xml"), metadata(folder, entityId));
    run("idp", "add", at("idp.xml"), "--party", party, "--authn-context", CONTEXT, "--lake", at("lake"), ...trustArgs(folder));
  }
  const { server, url } = await serve(consoleArgs(folder, await freePort()));
  const token = run("token", "--key", at("dev.pem"), "--party", found.first.party, "--role", "role-01", "--user-id", found.first.userIds[0] ?? "").trim();
  secret(at("me.jwt"), token);
  const devices = JSON.parse(
    run("search", "device", "--device", found.device, "--include-not-commissioned", "--server", url, "--server-anchors", at("tls.pem"), "--token-file", at("me.jwt"), "--format", "json"),
  ) as { devices: { others?: { device: { deviceId: string; deviceType: string } }[] }[] };
  const hub = devices.devices[0]?.others?.find(({ device }) => device.deviceType === "CHF")?.device.deviceId ?? "";
  const stage: Stage = { folder, url, hub, busy: BUSY, ...found };
  process.env.GRIDTRAIL_STAGE = JSON.stringify(stage);
  return async () => {
    await end(server);
    rmSync(folder, { recursive: true, force: true });
  };
}

export function stage(): Stage {
  return JSON.parse(process.env.GRIDTRAIL_STAGE ?? "{}") as Stage;
}
