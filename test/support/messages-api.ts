import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";

/** One block of a reply. `rawInput` is sent as the tool's input as it is, whatever it is. */
export type ScriptedBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input?: unknown; readonly rawInput?: string };

export interface ScriptedUsage {
  readonly input?: number;
  readonly output?: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
}

/** What the server does with one request. */
export type ScriptedTurn =
  | {
      readonly blocks: readonly ScriptedBlock[];
      readonly stop?: string;
      readonly refusal?: string;
      readonly usage?: ScriptedUsage;
      /** The connection is closed after so many events. */
      readonly cutAfter?: number;
      /** An error event in the middle of the stream. */
      readonly errorEvent?: { readonly type: string; readonly message: string };
    }
  | {
      readonly status: number;
      readonly error: { readonly type: string; readonly message: string };
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Accepts the request and never answers. */
  | { readonly silent: true };

export interface SeenRequest {
  readonly headers: IncomingMessage["headers"];
  readonly body: {
    readonly model: string;
    readonly max_tokens: number;
    readonly stream?: boolean;
    readonly system?: readonly { readonly text: string; readonly cache_control?: unknown }[];
    readonly tools?: readonly { readonly name: string; readonly input_schema: { readonly type: string } }[];
    readonly thinking?: unknown;
    readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  };
}

/**
 * An HTTP server that speaks the Messages API as the SDK hears it: server-sent events, tool use, usage by kind, the
 * errors with their headers, streams that are cut. Each request takes the next scripted turn; a function decides by
 * what was asked. Asked for more turns than there are, it answers 500 and the test sees that in `seen`.
 */
export class MessagesApiServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #turns: (ScriptedTurn | ((request: SeenRequest) => ScriptedTurn))[];
  #ids = 0;

  private constructor(turns: readonly (ScriptedTurn | ((request: SeenRequest) => ScriptedTurn))[]) {
    this.#turns = [...turns];
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(
    turns: readonly (ScriptedTurn | ((request: SeenRequest) => ScriptedTurn))[],
    /** Another address of this machine, where containers shall reach it. */
    host = "127.0.0.1",
  ): Promise<MessagesApiServer> {
    const api = new MessagesApiServer(turns);
    api.#server.listen(0, host);
    await once(api.#server, "listening");
    return api;
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${address}:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // Other paths are asked for to see whether the key is good; they are no turns.
    if (!(request.url ?? "").startsWith("/v1/messages")) {
      response.writeHead(404, { "content-type": "application/json" });
      response.end(JSON.stringify({ type: "error", error: { type: "not_found_error", message: "no such path" } }));
      return;
    }
    const seen: SeenRequest = {
      headers: request.headers,
      body: JSON.parse(Buffer.concat(chunks).toString()) as SeenRequest["body"],
    };
    this.seen.push(seen);
    const problem = invalid(seen);
    const next = this.#turns.shift();
    const turn: ScriptedTurn =
      problem ??
      (typeof next === "function" ? next(seen) : next) ??
      ({ status: 500, error: { type: "api_error", message: "the script has no more turns" } } as const);
    if ("silent" in turn) return;
    if ("status" in turn) {
      response.writeHead(turn.status, { "content-type": "application/json", "request-id": "req_1", ...turn.headers });
      response.end(JSON.stringify({ type: "error", error: turn.error, request_id: "req_1" }));
      return;
    }
    if (seen.body.stream === true) this.#stream(turn, seen.body.model, response);
    else {
      response.writeHead(200, { "content-type": "application/json", "request-id": "req_1" });
      response.end(JSON.stringify(this.#message(turn, seen.body.model)));
    }
  }

  #message(turn: Extract<ScriptedTurn, { blocks: unknown }>, model: string) {
    return {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model,
      content: turn.blocks.map((block) =>
        block.type === "tool_use"
          ? { type: "tool_use", id: this.#id(), name: block.name, input: block.input ?? {} }
          : block,
      ),
      stop_reason: turn.stop ?? "end_turn",
      stop_sequence: null,
      usage: usage(turn.usage),
    };
  }

  #stream(turn: Extract<ScriptedTurn, { blocks: unknown }>, model: string, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "request-id": "req_1" });
    const events = [...this.#events(turn, model)];
    events.slice(0, turn.cutAfter ?? events.length).forEach((event) => {
      response.write(`event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`);
    });
    if (turn.cutAfter === undefined) response.end();
    // What was written must arrive before the connection breaks.
    else setImmediate(() => setImmediate(() => response.destroy()));
  }

  *#events(turn: Extract<ScriptedTurn, { blocks: unknown }>, model: string): Generator<Record<string, unknown>> {
    const begun = { ...usage(turn.usage), output_tokens: 1 };
    yield {
      type: "message_start",
      message: {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: begun,
      },
    };
    yield { type: "ping" };
    for (const [index, block] of turn.blocks.entries()) {
      yield* this.#block(index, block);
      if (turn.errorEvent !== undefined) {
        yield { type: "error", error: turn.errorEvent };
        return;
      }
    }
    const stop_reason = turn.stop ?? (turn.blocks.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn");
    const stop_details =
      turn.refusal === undefined ? null : { type: "refusal", category: null, explanation: turn.refusal };
    yield {
      type: "message_delta",
      delta: { stop_reason, stop_sequence: null, stop_details },
      usage: { output_tokens: turn.usage?.output ?? 20 },
    };
    yield { type: "message_stop" };
  }

  *#block(index: number, block: ScriptedBlock): Generator<Record<string, unknown>> {
    const start = (content_block: unknown) => ({ type: "content_block_start", index, content_block });
    const delta = (inner: unknown) => ({ type: "content_block_delta", index, delta: inner });
    if (block.type === "text") {
      yield start({ type: "text", text: "", citations: null });
      for (const part of halves(block.text)) yield delta({ type: "text_delta", text: part });
    } else if (block.type === "thinking") {
      yield start({ type: "thinking", thinking: "", signature: "" });
      yield delta({ type: "thinking_delta", thinking: block.thinking });
      yield delta({ type: "signature_delta", signature: `signed-${index}` });
    } else {
      yield start({ type: "tool_use", id: this.#id(), name: block.name, input: {} });
      for (const part of halves(block.rawInput ?? JSON.stringify(block.input ?? {})))
        yield delta({ type: "input_json_delta", partial_json: part });
    }
    yield { type: "content_block_stop", index };
  }

  #id(): string {
    return `toolu_${++this.#ids}`;
  }
}

/** What the real one refuses: no key, two messages of one role that do not fit together, results without their calls. */
function invalid({ headers, body }: SeenRequest): ScriptedTurn | null {
  const bad = (message: string) => ({ status: 400, error: { type: "invalid_request_error", message } });
  // SDK 1.x sends the key as a bearer token, older ones as x-api-key.
  const key = headers.authorization?.replace(/^Bearer /, "") ?? headers["x-api-key"];
  if (key === undefined || key === "wrong")
    return { status: 401, error: { type: "authentication_error", message: "invalid API key" } };
  type Block = { type: string; id?: string; tool_use_id?: string };
  const blocks = (content: unknown): readonly Block[] => (Array.isArray(content) ? (content as Block[]) : []);
  for (const [index, { role, content }] of body.messages.entries()) {
    if (blocks(content).length === 0 && typeof content !== "string") return bad(`messages.${index}: empty content`);
    if (role !== "assistant") continue;
    const asked = blocks(content).flatMap(({ type, id }) => (type === "tool_use" ? [id] : []));
    const next = body.messages[index + 1];
    if (next === undefined) continue;
    const answered = blocks(next.content).flatMap(({ type, tool_use_id: id }) => (type === "tool_result" ? [id] : []));
    if (asked.some((id) => !answered.includes(id)) || answered.some((id) => !asked.includes(id)))
      return bad(`messages.${index}: tool_use ids were found without tool_result blocks immediately after`);
  }
  return null;
}

function halves(text: string): readonly string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)].filter((part) => part !== "");
}

function usage({ input = 100, output = 20, cacheRead = 0, cacheWrite = 0 }: ScriptedUsage = {}) {
  return {
    input_tokens: input,
    output_tokens: output,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
    cache_creation: null,
    server_tool_use: null,
    service_tier: "standard",
  };
}
