import type { Random } from "../../harness/base/random.ts";
import { COMMANDS } from "../../harness/control/contract.ts";
import { PLANES } from "../../harness/control/planes.ts";
import { HEADERS } from "../../harness/control/signing.ts";
import type { TestControl } from "./control-server.ts";
import { signed, type WireRequest } from "./signed-request.ts";

/** One request that must not be carried out, or bytes that are no request at all. */
export type Fuzzed =
  | { readonly kind: string; readonly request: WireRequest; readonly expect: readonly number[] | null }
  | { readonly kind: string; readonly bytes: Buffer };

interface Operation {
  readonly method: "GET" | "POST";
  readonly path: string;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const NAMES = Object.keys(COMMANDS);

/** Draws requests from the API's own document: forged, replayed, skewed, oversized, malformed, and plain garbage. */
export class RequestFuzzer {
  readonly #control: TestControl;
  readonly #random: Random;
  readonly #operations: readonly Operation[];
  readonly #bodyBytes: number;
  readonly #sent: WireRequest[] = [];

  constructor(control: TestControl, document: Document, bodyBytes: number, random: Random) {
    this.#control = control;
    this.#random = random;
    this.#bodyBytes = bodyBytes;
    this.#operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() as Operation["method"] })),
    );
  }

  /** Told of what has been answered, so that it can be sent again. */
  answered(what: Fuzzed): void {
    if (what.kind === "malformed" && "request" in what && this.#sent.length < 1_000) this.#sent.push(what.request);
  }

  next(): Fuzzed {
    return this.#random.pick([
      () => this.#forged(),
      () => this.#forged(),
      () => this.#replayed(),
      () => this.#skewed(),
      () => this.#elsewhere(),
      () => this.#oversized(),
      () => this.#malformed(),
      () => this.#malformed(),
      () => this.#unsigned(),
      () => this.#bytes(),
    ])();
  }

  /** A good request with one thing changed after it was signed, or one header missing. */
  #forged(): Fuzzed {
    const good = this.#signed();
    const header = this.#random.pick(Object.values(HEADERS));
    const request = this.#random.pick<() => WireRequest>([
      () => ({ ...good, target: `${good.target}${good.target.includes("?") ? "&" : "?"}x=${this.#random.int(9)}` }),
      () => ({ ...good, body: good.method === "POST" ? `${good.body} ` : good.body, headers: this.#resigned(good) }),
      () => ({ ...good, headers: { ...good.headers, [header]: this.#mangled(good.headers[header] ?? "") } }),
      () => ({ ...good, headers: without(good.headers, header === HEADERS.idempotencyKey ? HEADERS.nonce : header) }),
      () => ({ ...good, headers: { ...good.headers, [HEADERS.signature]: this.#text("0123456789abcdef", 64) } }),
      () => ({ ...good, headers: { ...good.headers, [HEADERS.signature]: "" } }),
    ])();
    return { kind: "forged", request, expect: [401] };
  }

  #resigned(good: WireRequest): Readonly<Record<string, string>> {
    return good.method === "POST" ? good.headers : { ...good.headers, [HEADERS.signature]: "0" };
  }

  /** One that was sent before, as it was. */
  #replayed(): Fuzzed {
    const before = this.#sent.length === 0 ? null : this.#random.pick(this.#sent);
    // Long after the first time its timestamp is too old as well.
    if (before !== null) return { kind: "replayed", request: before, expect: [409, 401] };
    return this.#skewed();
  }

  #skewed(): Fuzzed {
    const offMs = (121_000 + this.#random.int(1e9)) * (this.#random.int(2) * 2 - 1);
    const timestampMs = Math.max(0, Date.now() + offMs);
    return { kind: "skewed", request: this.#signed({ timestampMs }), expect: [401] };
  }

  /** For another server, another start, or by the other plane's key. */
  #elsewhere(): Fuzzed {
    const part = this.#random.pick(["serverId", "bootEpoch", "fingerprint"] as const);
    return { kind: "elsewhere", request: this.#signed({ [part]: this.#text("0123456789abcdef", 16) }), expect: [401] };
  }

  #oversized(): Fuzzed {
    const body = this.#text('{}[]":,abc', this.#bodyBytes + 1 + this.#random.int(this.#bodyBytes));
    const request = signed(this.#control, this.#target({ path: "/api/v1/commands/execute", method: "POST" }), body);
    return { kind: "oversized", request, expect: [413] };
  }

  /** Well signed, and none of it a request that the document knows. */
  #malformed(): Fuzzed {
    const posts = this.#operations.filter(({ method }) => method === "POST");
    const operation = this.#random.pick(posts);
    const body = this.#random.pick<() => string>([
      () => this.#text('{}[]":,0123456789abcnulltrue\\u', this.#random.int(200)) || "{",
      () => JSON.stringify(this.#random.pick([null, 1, "x", [], [[]], true])),
      () => JSON.stringify({ command_id: "c", name: this.#wrongName(), params: {} }),
      () => JSON.stringify({ command_id: "c", name: this.#random.pick(NAMES), params: this.#wrongParams() }),
      () => JSON.stringify({ command_id: this.#text("../ \n\0", 5), name: "restart", params: { component: "tikv1" } }),
      () => JSON.stringify({ name: "restart", params: { component: "tikv1" }, command_id: "c", [this.#word()]: 1 }),
      () => `{"__proto__":{"name":"restart"},"constructor":${this.#random.int(9)}}`,
    ])();
    const request = signed(this.#control, this.#target(operation), body, { plane: this.#random.pick(PLANES) });
    return { kind: "malformed", request, expect: null };
  }

  #unsigned(): Fuzzed {
    const method = this.#random.pick(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"]);
    const operation = this.#random.pick(this.#operations.filter(({ path }) => path.startsWith("/api/v1")));
    const target = this.#random.pick([
      () => this.#target(operation),
      () => `/${this.#text("abc/%.2fF0\\;?&=", 30)}`,
      () => "/api/v1/../../health/%00",
      () => "/api/v1/commands/..",
      () => `//${this.#word()}/api/v1/commands/execute`,
    ])();
    return { kind: "unsigned", request: { method, target, headers: {}, body: "" }, expect: null };
  }

  #bytes(): Fuzzed {
    const text = this.#random.pick([
      () => this.#text("GET POST/\r\n :HTP1.0abc\0", 300),
      () => `POST /api/v1/commands/execute HTTP/1.1\r\nhost: x\r\ncontent-length: ${this.#text("-019e", 4)}\r\n\r\n{}`,
      () =>
        `POST /api/v1/commands/execute HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${this.#text("0123456789abcdefg\r\n", 40)}`,
      () => `GET /health HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
      () => `GET /health HTTP/9.9\r\n\r\n`,
    ])();
    return { kind: "bytes", bytes: Buffer.from(text, "latin1") };
  }

  #signed(parts = {}): WireRequest {
    const operation = this.#random.pick(this.#operations.filter(({ path }) => path.startsWith("/api/v1/")));
    const signedOnly = operation.path.startsWith("/api/v1/diagnostics")
      ? { ...operation, path: "/api/v1/tickets" }
      : operation;
    const body =
      signedOnly.method === "GET" ? null : { command_id: "c1", name: "restart", params: { component: "tikv1" } };
    return signed(this.#control, this.#target(signedOnly), body, { plane: this.#random.pick(PLANES), parts });
  }

  #target({ path }: Operation): string {
    return path.replace(/\{\w+\}/g, () => encodeURIComponent(this.#random.pick([this.#word(), "\0", "x".repeat(300)])));
  }

  #wrongName(): string {
    const name = this.#random.pick(NAMES);
    return this.#random.pick([
      `${name} `,
      name.toUpperCase(),
      `${name}\0`,
      "__proto__",
      "constructor",
      "toString",
      "",
      "sh -c id",
    ]);
  }

  /** No command takes any of these. */
  #wrongParams(): unknown {
    return this.#random.pick<unknown>([
      { component: "tikv1", extra: 1 },
      { component: 7 },
      { component: "../../etc" },
      { component: "-rf" },
      { ticket: -1, component: null },
      { argv: [], component: "tikv1", timeout_ms: 1e12 },
      [["component", "tikv1"]],
      { __proto__: null, component: { toString: "tikv1" } },
      "component",
      { component: "tikv1".repeat(100) },
    ]);
  }

  #mangled(value: string): string {
    if (value === "") return "x";
    const at = this.#random.int(value.length);
    const other = value[at] === "a" ? "b" : "a";
    return `${value.slice(0, at)}${other}${value.slice(at + 1)}`;
  }

  #word(): string {
    return this.#text("abcdefghijk", 1 + this.#random.int(8));
  }

  #text(alphabet: string, length: number): string {
    return Array.from({ length }, () => alphabet[this.#random.int(alphabet.length)]).join("");
  }
}

function without(headers: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
}
