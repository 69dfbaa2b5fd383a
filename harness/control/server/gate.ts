import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { collect } from "../../base/collect.ts";
import type { Clock, Log } from "../../protocol.ts";
import { PLANES, type Plane, type Scope } from "../planes.ts";
import { digestOf, HEADERS, MAX_SKEW_MS, signatureHolds } from "../signing.ts";
import type { TokenCache } from "../tokens/types.ts";
import { ApiError } from "./api-error.ts";
import type { Epoch } from "./epoch.ts";
import type { ControlMetrics } from "./metrics.ts";
import type { ServerLimits } from "./options.ts";
import { RateLimit } from "./rate-limit.ts";

/** Somebody whose signature held. */
export interface Caller {
  readonly plane: Plane;
  readonly agentId: string;
  readonly fingerprint: string;
  readonly scopes: readonly string[];
  /** "" where the request has none. */
  readonly idempotencyKey: string;
  readonly body: Buffer;
  readonly bodyDigest: string;
}

const headers = z.object({
  [HEADERS.agentId]: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$/),
  [HEADERS.plane]: z.enum(PLANES),
  [HEADERS.fingerprint]: z.string().regex(/^[0-9a-f]{16}$/),
  [HEADERS.timestampMs]: z.string().regex(/^\d{1,15}$/),
  [HEADERS.nonce]: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/),
  [HEADERS.idempotencyKey]: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/)
    .optional(),
  [HEADERS.serverId]: z.string().max(100),
  [HEADERS.bootEpoch]: z.string().max(100),
  [HEADERS.signature]: z.string().max(200),
});

export interface GateOptions {
  readonly tokens: TokenCache;
  readonly epoch: Epoch;
  readonly serverId: string;
  readonly limits: ServerLimits;
  readonly metrics: ControlMetrics;
}

/** Everything between a request and what it asks for, in one order: 413, 401, 409, then 403 and 429. */
export class Gate {
  readonly #options: GateOptions;
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #rates: ReadonlyMap<Plane, RateLimit>;
  readonly #open = new Map<Plane, number>();
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(options: GateOptions, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#options = options;
    this.#deps = deps;
    const { requestsPerSecond: perSecond, burst } = options.limits;
    this.#rates = new Map(PLANES.map((plane) => [plane, new RateLimit({ perSecond, burst }, deps.clock)]));
  }

  /** @throws ApiError 413, 401, 409. */
  async authenticate(request: IncomingMessage, signal: AbortSignal): Promise<Caller> {
    const body = await this.#body(request);
    try {
      return await this.#verify(request, body, signal);
    } catch (error) {
      if (error instanceof ApiError) this.#note(error, request);
      throw error;
    }
  }

  /** @throws ApiError 403, 429. */
  allow(caller: Caller, scope: Scope): void {
    const waitMs = this.rate(caller.plane);
    if (!caller.scopes.includes(scope))
      throw new ApiError("scope-missing", `this key of ${caller.plane} may not: ${scope} is not among its scopes`);
    if (waitMs > 0) throw tooMany(caller.plane, waitMs);
  }

  /** Takes one request of a plane's quota; 0, or how many ms too early it came. */
  rate(plane: Plane): number {
    return this.#rates.get(plane)?.take() ?? 0;
  }

  /** One more request of this plane that stays open until it is gone. @throws ApiError 429 */
  stay({ plane }: Caller, gone: AbortSignal): void {
    const open = this.#open.get(plane) ?? 0;
    if (open >= this.#options.limits.openRequests)
      throw new ApiError("rate-limited", `${open} requests of ${plane} are open already`, { retry_after_ms: 1_000 });
    if (gone.aborted) return;
    this.#open.set(plane, open + 1);
    gone.addEventListener("abort", () => this.#open.set(plane, (this.#open.get(plane) ?? 1) - 1), { once: true });
  }

  async #body(request: IncomingMessage): Promise<Buffer> {
    const cap = this.#options.limits.bodyBytes;
    const tooLarge = (): ApiError => new ApiError("too-large", `a body has at most ${cap} bytes`);
    if (Number(request.headers["content-length"] ?? 0) > cap) throw tooLarge();
    // Whoever sent it has hung up, or it is no HTTP.
    const body = await collect(request, cap).catch(() => {
      throw new ApiError("malformed", "the request broke off in its body");
    });
    if (body === null) throw tooLarge();
    return body;
  }

  async #verify(request: IncomingMessage, body: Buffer, signal: AbortSignal): Promise<Caller> {
    const { tokens, epoch, serverId } = this.#options;
    const read = headers.safeParse(request.headers);
    if (!read.success) {
      const [name = ""] = read.error.issues[0]?.path ?? [];
      const label = String(name).replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
      throw new ApiError("signature-missing", `Invalid or missing ${label}`);
    }
    const said = read.data;
    const [plane, fingerprint] = [said[HEADERS.plane], said[HEADERS.fingerprint]];
    const known = tokens.accepted(plane, fingerprint) ?? (await tokens.lookup(plane, fingerprint, signal));
    if (known === null)
      throw new ApiError("key-unknown", `${plane} has no key ${fingerprint}: it may have been rotated`);
    const bodyDigest = digestOf(body);
    const parts = {
      method: request.method ?? "",
      target: request.url ?? "",
      bodyDigest,
      plane,
      fingerprint,
      agentId: said[HEADERS.agentId],
      timestampMs: Number(said[HEADERS.timestampMs]),
      nonce: said[HEADERS.nonce],
      idempotencyKey: said[HEADERS.idempotencyKey] ?? "",
      serverId: said[HEADERS.serverId],
      bootEpoch: said[HEADERS.bootEpoch],
    };
    if (!signatureHolds(parts, known.token, said[HEADERS.signature]))
      throw new ApiError("signature-invalid", "invalid signature: signature mismatch");
    const current = epoch.current;
    if (parts.serverId !== serverId || parts.bootEpoch !== current)
      throw new ApiError("stale-epoch", "signed for another server, or another start of this one", {
        server_id: serverId,
        boot_epoch: current,
      });
    const skewMs = this.#deps.clock.now() - parts.timestampMs;
    if (Math.abs(skewMs) > MAX_SKEW_MS)
      throw new ApiError("timestamp-skew", "invalid signature: stale request (timestamp skew)", { skew_ms: skewMs });
    if (!epoch.isNew(`${plane}/${parts.nonce}`)) throw new ApiError("nonce-seen", "replay detected");
    const { agentId, idempotencyKey } = parts;
    return { plane, agentId, fingerprint, scopes: known.scopes, idempotencyKey, body, bodyDigest };
  }

  /** Counted always; in the log once a second at most, since strangers decide how often. */
  #note({ code }: ApiError, request: IncomingMessage): void {
    this.#options.metrics.authFailure(code);
    // Every caller's first request after a start.
    if (code === "stale-epoch") return;
    const now = this.#deps.clock.monotonic();
    if (now - this.#toldAtMs < 1_000) {
      this.#untold += 1;
      return;
    }
    const from = request.socket.remoteAddress ?? "socket";
    this.#deps.log.warn("control.refused", { code, from, others: this.#untold });
    this.#toldAtMs = now;
    this.#untold = 0;
  }
}

export function tooMany(plane: Plane, waitMs: number): ApiError {
  return new ApiError("rate-limited", `too many requests of ${plane}; next in ${waitMs} ms`, {
    retry_after_ms: waitMs,
  });
}
