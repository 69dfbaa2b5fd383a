import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { withDeadline } from "../../base/deadline.ts";
import type { Clock, EpochMs, Ids } from "../../protocol.ts";
import { commandReport, commandSpec, isCommand, type CommandReport, type CommandRequest } from "../contract.ts";
import { digestOf, signedHeaders } from "../signing.ts";
import { fingerprintOf } from "../tokens/fingerprint.ts";
import { ControlError } from "./control-error.ts";
import { serverEvents } from "./server-events.ts";
import { Transport, Unreachable, type Answer, type Sent } from "./transport.ts";
import type { CallOptions, ControlClient, ControlClientOptions, DeliveredCommand, ServerEvent } from "./types.ts";

interface ClientDeps {
  readonly clock: Clock;
  readonly ids: Ids;
}

/** A server that is restarting is waited for so long. */
const PATIENCE_MS = 15_000;
const FIRST_PAUSE_MS = 50;
const MOST_PAUSE_MS = 1_000;
/** On top of a command's own time: its wait for a slot and the way. */
const ON_TOP_MS = 45_000;
const OTHER_MS = 30_000;

const errorBody = z.looseObject({ error: z.string().catch(""), code: z.string().catch("unknown") });
const newEpoch = z.object({ server_id: z.string(), boot_epoch: z.string() });
const delivered = z.object({
  id: z.string(),
  command_id: z.string(),
  name: z.string(),
  params: z.record(z.string(), z.unknown()),
  plane: z.enum(["status_panel", "compose_agent"]),
  order: z.string().optional(),
});
const asserted = z.object({ assertion: z.string(), expires_at: z.number().transform((ms) => ms as EpochMs) });

/** @throws RangeError for an address that is none. Nothing is sent before the first call. */
export function controlClient(options: ControlClientOptions, deps: ClientDeps): ControlClient {
  return new Client(options, deps);
}

interface Signable {
  readonly method: "GET" | "POST";
  readonly target: string;
  readonly body: string;
  readonly idempotencyKey: string;
  readonly headers?: Readonly<Record<string, string>>;
}

class Client implements ControlClient {
  readonly plane: ControlClientOptions["plane"];
  readonly address: string;
  readonly #options: ControlClientOptions;
  readonly #deps: ClientDeps;
  readonly #transport: Transport;
  #server: { readonly id: string; readonly epoch: string };

  constructor(options: ControlClientOptions, deps: ClientDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#transport = new Transport(options);
    this.plane = options.plane;
    this.address = this.#transport.address;
    // Not known yet: the first request is answered with what to sign for.
    this.#server = { id: options.serverId ?? "", epoch: "" };
  }

  async execute(name: string, params: object, options: CallOptions, signal: AbortSignal): Promise<CommandReport> {
    const ms = (isCommand(name) ? ownTimeMs(name, params) : OTHER_MS) + ON_TOP_MS;
    const send = (inner: AbortSignal) => this.#command("/api/v1/commands/execute", name, params, options, inner);
    const limit = { ms, what: `${name} through ${this.address}`, signal };
    return commandReport.parse(await withDeadline(this.#deps.clock, limit, send));
  }

  async enqueue(
    name: string,
    params: object,
    options: CallOptions & { readonly executor?: CommandRequest["executor"] },
    signal: AbortSignal,
  ): Promise<string> {
    const answer = await this.#command("/api/v1/commands/enqueue", name, params, options, signal);
    return z.object({ command_id: z.string() }).parse(answer).command_id;
  }

  async command(commandId: string, signal: AbortSignal): Promise<CommandReport> {
    return commandReport.parse(await this.get(`/api/v1/commands/${encodeURIComponent(commandId)}`, signal));
  }

  async wait(
    timeoutMs: number,
    signal: AbortSignal,
    holding: readonly string[] = [],
  ): Promise<DeliveredCommand | null> {
    const hash = encodeURIComponent(this.#options.deploymentHash);
    const held = holding.length === 0 ? "" : `&holding=${holding.map(encodeURIComponent).join(",")}`;
    const target = `/api/v1/commands/wait/${hash}?timeout=${timeoutMs / 1_000}${held}`;
    const answer = await this.get(target, signal, timeoutMs);
    return answer === null ? null : delivered.parse(answer);
  }

  async report(report: object, signal: AbortSignal): Promise<void> {
    await this.post("/api/v1/commands/report", report, signal);
  }

  async get(target: string, signal: AbortSignal, longerMs = 0): Promise<unknown> {
    const what: Signable = { method: "GET", target, body: "", idempotencyKey: "" };
    const limit = { ms: OTHER_MS + longerMs, what: `GET ${target}`, signal };
    return await withDeadline(this.#deps.clock, limit, async (inner) =>
      jsonOf(await this.#patiently(what, true, inner)),
    );
  }

  async post(target: string, body: object, signal: AbortSignal): Promise<unknown> {
    const idempotencyKey = this.#deps.ids.hex(16);
    const what: Signable = { method: "POST", target, body: JSON.stringify(body), idempotencyKey };
    const limit = { ms: OTHER_MS, what: `POST ${target}`, signal };
    return await withDeadline(this.#deps.clock, limit, async (inner) =>
      jsonOf(await this.#patiently(what, false, inner)),
    );
  }

  async health(signal: AbortSignal): Promise<unknown> {
    return jsonOf(await this.#plain("/health", signal));
  }

  async capabilities(signal: AbortSignal): Promise<unknown> {
    return jsonOf(await this.#plain("/capabilities", signal));
  }

  async metrics(signal: AbortSignal): Promise<string> {
    return (await this.#plain("/metrics", signal)).text;
  }

  async events(target: string, signal: AbortSignal): Promise<AsyncIterable<ServerEvent>> {
    const headers = { accept: "text/event-stream" };
    const what: Signable = { method: "GET", target, body: "", idempotencyKey: "", headers };
    const reply = await this.#signed(what, signal, async (sent) => {
      const opened = await this.#transport.stream(sent, signal);
      if (opened.statusCode === 200) return { done: opened };
      return { failed: { status: opened.statusCode ?? 0, text: await text(opened) } };
    });
    // The first line says that listening has begun.
    if (reply.readableLength === 0) await once(reply, "readable", { signal });
    return endsQuietly(reply, this.address, signal);
  }

  async assertion(signal: AbortSignal): Promise<{ readonly assertion: string; readonly expiresAt: EpochMs }> {
    const { assertion, expires_at: expiresAt } = asserted.parse(await this.post("/api/v1/auth/assertion", {}, signal));
    return { assertion, expiresAt };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport[Symbol.dispose]();
    await this.#options.onEnd?.();
  }

  async #command(
    target: string,
    name: string,
    params: object,
    options: CallOptions & { readonly executor?: CommandRequest["executor"] },
    signal: AbortSignal,
  ): Promise<unknown> {
    const { reason, fence, approval, executor } = options;
    const idempotencyKey = options.idempotencyKey ?? this.#deps.ids.hex(16);
    const body = JSON.stringify({
      command_id: idempotencyKey,
      deployment_hash: this.#options.deploymentHash,
      name,
      params,
      reason,
      fence: fence ?? undefined,
      approval: approval ?? undefined,
      executor,
    });
    return jsonOf(await this.#patiently({ method: "POST", target, body, idempotencyKey }, true, signal));
  }

  /**
   * Again while the server is away or asks for patience. @param repeatable = it may be sent again even though it may
   * have arrived: it changes nothing, or its key sees to it that it is done once.
   */
  async #patiently(what: Signable, repeatable: boolean, signal: AbortSignal): Promise<Answer> {
    const { clock } = this.#deps;
    const until = clock.monotonic() + (this.#options.patienceMs ?? PATIENCE_MS);
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      let failure: unknown;
      try {
        return await this.#signed(what, signal, async (sent) => {
          const answer = await this.#transport.send(sent, signal);
          return answer.status < 400 ? { done: answer } : { failed: answer };
        });
      } catch (error) {
        failure = error;
      }
      const waitMs = patienceFor(failure, repeatable, pauseMs);
      if (waitMs === null || clock.monotonic() + waitMs > until) throw failure;
      await clock.sleep(waitMs, signal);
      pauseMs = Math.min(2 * pauseMs, MOST_PAUSE_MS);
    }
  }

  /** Signs and sends; once more for a server that has started anew, and once more for a token that was rotated. */
  async #signed<T>(
    what: Signable,
    signal: AbortSignal,
    send: (sent: Sent) => Promise<{ readonly done: T } | { readonly failed: Answer }>,
  ): Promise<T> {
    let [signedAnew, refreshed] = [false, false];
    for (;;) {
      const outcome = await send(this.#sign(what));
      if ("done" in outcome) return outcome.done;
      const error = errorOf(outcome.failed);
      if (error.apiCode === "stale-epoch" && !signedAnew && this.#learn(outcome.failed)) signedAnew = true;
      else if (error.apiCode === "key-unknown" && !refreshed && this.#options.refreshToken !== undefined) {
        refreshed = true;
        await this.#options.refreshToken(signal);
      } else throw error;
    }
  }

  #sign({ method, target, body, idempotencyKey, headers }: Signable): Sent {
    const record = this.#options.token();
    if (record === null) throw new ControlError(401, "key-unknown", `there is no token of ${this.plane} to sign with`);
    const parts = {
      method,
      target,
      bodyDigest: digestOf(body),
      plane: this.plane,
      fingerprint: fingerprintOf(record.token),
      agentId: this.#options.agentId,
      timestampMs: this.#deps.clock.now(),
      nonce: this.#deps.ids.hex(16),
      idempotencyKey,
      serverId: this.#server.id,
      bootEpoch: this.#server.epoch,
    };
    return { method, target, body, headers: { ...headers, ...signedHeaders(parts, record.token) } };
  }

  /** False for another server than the one that is wanted. */
  #learn(answer: Answer): boolean {
    const said = newEpoch.safeParse(jsonOf(answer));
    const { serverId } = this.#options;
    if (!said.success || (serverId !== undefined && said.data.server_id !== serverId)) return false;
    this.#server = { id: said.data.server_id, epoch: said.data.boot_epoch };
    return true;
  }

  async #plain(target: string, signal: AbortSignal): Promise<Answer> {
    const limit = { ms: OTHER_MS, what: `GET ${target}`, signal };
    const sent: Sent = { method: "GET", target, headers: {}, body: "" };
    const answer = await withDeadline(this.#deps.clock, limit, (inner) => this.#transport.send(sent, inner));
    if (answer.status >= 400) throw errorOf(answer);
    return answer;
  }
}

/** Null = it is not to be sent again. */
function patienceFor(failure: unknown, repeatable: boolean, pauseMs: number): number | null {
  if (failure instanceof Unreachable) return repeatable || !failure.sent ? pauseMs : null;
  if (!(failure instanceof ControlError)) return null;
  if (failure.apiCode === "unavailable") return pauseMs;
  const { retry_after_ms: afterMs } = failure.details;
  return failure.apiCode === "rate-limited" && typeof afterMs === "number" ? Math.max(afterMs, pauseMs) : null;
}

function ownTimeMs(name: Parameters<typeof commandSpec>[0], params: object): number {
  const spec = commandSpec(name);
  const read = spec.params.safeParse(params);
  return read.success ? spec.timeoutMs(read.data) : OTHER_MS;
}

function errorOf(answer: Answer): ControlError {
  const { error, code, ...extra } = errorBody.catch({ error: "", code: "unknown" }).parse(jsonOf(answer));
  return new ControlError(answer.status, code, error === "" ? `the server answered ${answer.status}` : error, extra);
}

/** Null for nothing, and for what is no JSON. */
function jsonOf({ text: body }: Answer): unknown {
  if (body === "") return null;
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return null;
  }
}

async function* endsQuietly(reply: IncomingMessage, address: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  // Who leaves early destroys it, which is an error to nobody.
  reply.on("error", () => undefined);
  try {
    yield* serverEvents(reply);
  } catch (error) {
    if (!signal.aborted) throw new Unreachable(address, error);
  }
  if (!signal.aborted) throw new Unreachable(address, new Error("it ended the stream"));
}
