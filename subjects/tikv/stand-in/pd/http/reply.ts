import { compactJson, prettyJson } from "../go-text.ts";
import { PdRefusal } from "../pd-refusal.ts";

export interface Reply {
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export function json(value: unknown, status = 200): Reply {
  return { status, contentType: "application/json; charset=UTF-8", body: prettyJson(value) };
}

/** Region endpoints: compact JSON under a type that does not say so. */
export function octets(value: unknown): Reply {
  return { status: 200, contentType: "application/octet-stream", body: compactJson(value) };
}

export function text(body: string, status = 200): Reply {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

export function empty(status = 200): Reply {
  return { status, contentType: null, body: "" };
}

/** What the handlers with typed input answer to input they cannot read. */
export function badInput(msg: string, data: Record<string, unknown> = {}): Reply {
  return { ...json({ code: "input", msg, data }, 400), headers: { "TiDB-Error-Code": "input" } };
}

export interface RouteRequest {
  /** What the pattern's `{name}` parts matched, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

/** May throw PdRefusal (answered as a JSON string) or BadBody. */
export type Handler = (request: RouteRequest) => Reply | Promise<Reply>;

export type Routes = Readonly<Record<string, Handler>>;

/** The request's body is not what the handler can read; `reply` says so in PD's words. */
export class BadBody extends Error {
  readonly reply: Reply;
  constructor(reply: Reply) {
    super("bad body");
    this.reply = reply;
  }
}

/** @throws BadBody with what Go's decoder says */
export function objectBody(body: Buffer): Record<string, unknown> {
  const source = body.toString("utf8");
  try {
    const value: unknown = JSON.parse(source);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    const [msg, data] = goSyntaxError(source);
    throw new BadBody(badInput(msg, data));
  }
  throw new BadBody(badInput("json: cannot unmarshal value into Go value of type map[string]interface {}"));
}

export function goSyntaxError(source: string): [string, Record<string, unknown>] {
  if (source.trim() === "") return ["unexpected end of JSON input", { Offset: source.length }];
  const key = /^\s*\{\s*([^"}\s])/.exec(source);
  if (key !== null)
    return [`invalid character '${key[1]}' looking for beginning of object key string`, { Offset: key[0].length }];
  return [`invalid character '${source.trim()[0]}' looking for beginning of value`, { Offset: 1 }];
}

export function numberParam(value: string): number {
  if (!/^\d+$/.test(value)) throw new BadBody(badInput(`strconv.ParseUint: parsing "${value}": invalid syntax`));
  return Number(value);
}

export function replyOf(error: unknown): Reply | null {
  if (error instanceof BadBody) return error.reply;
  return error instanceof PdRefusal ? json(error.body, error.status) : null;
}
