import { request, type Agent } from "node:http";
import { text } from "node:stream/consumers";
import { randomIds } from "../../harness/base/ids.ts";
import type { Plane } from "../../harness/control/planes.ts";
import { digestOf, signedHeaders, type SignedParts } from "../../harness/control/signing.ts";
import { fingerprintOf } from "../../harness/control/tokens/index.ts";
import type { TestControl } from "./control-server.ts";

/** A request as it goes over the wire, to be sent as it is, once or again. */
export interface WireRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  readonly json: any;
}

export interface Wanted {
  readonly method?: string;
  readonly plane?: Plane;
  readonly token?: string;
  readonly key?: string;
  /** Signed as they are. */
  readonly parts?: Partial<SignedParts>;
}

/** Signed well, unless the parts say otherwise. */
export function signed(control: TestControl, target: string, body: unknown, wanted: Wanted = {}): WireRequest {
  const { plane = "compose_agent", method = body === null ? "GET" : "POST", key = randomIds.hex(8) } = wanted;
  const sent = body === null ? "" : typeof body === "string" ? body : JSON.stringify(body);
  const token = wanted.token ?? control.tokens.current(plane)?.token ?? "none";
  const parts: SignedParts = {
    method,
    target,
    bodyDigest: digestOf(sent),
    plane,
    fingerprint: fingerprintOf(token),
    agentId: "tester",
    timestampMs: Date.now(),
    nonce: randomIds.hex(16),
    idempotencyKey: body === null ? "" : key,
    serverId: control.server.serverId,
    bootEpoch: control.server.bootEpoch,
    ...wanted.parts,
  };
  return { method, target, headers: signedHeaders(parts, token), body: sent };
}

export function command(name: string, params: object = {}, more: object = {}): Record<string, unknown> {
  return { command_id: `c-${randomIds.hex(4)}`, name, params, ...more };
}

export function send(control: TestControl, what: WireRequest, agent?: Agent): Promise<WireAnswer> {
  const { hostname, port } = new URL(control.server.url ?? "http://nowhere");
  const where = control.server.url === null ? { socketPath: control.server.socketPath ?? "" } : { hostname, port };
  return new Promise((resolve, reject) => {
    const { method, target: path, headers, body } = what;
    const chunked = headers["transfer-encoding"] === "chunked";
    const length = body === "" || chunked ? {} : { "content-length": Buffer.byteLength(body) };
    const outgoing = request({ ...where, method, path, headers: { ...headers, ...length }, agent }, (reply) => {
      text(reply).then((said) => {
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text: said, json: jsonOf(said) });
      }, reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function jsonOf(said: string): unknown {
  try {
    return JSON.parse(said);
  } catch {
    return null;
  }
}
