import type { Clock } from "../../../../../harness/base/clock.ts";
import { nodeHttp } from "../../../../common/link/http-request.ts";
import type { MemberMeta } from "../state.ts";
import type { HttpParts } from "./parts.ts";
import { text, type Reply } from "./reply.ts";

const WAIT_FOR_LEADER_MS = 3_000;
const LOOK_EVERY_MS = 50;
const PROXY_TIMEOUT_MS = 10_000;
/** How long connections that were open to a leader that is off the network keep their callers waiting. */
const OPEN_HANG_MS = 4_500;
/**
 * A leader that is gone is looked up by name for every request, and one in some 27 of these look-ups takes 5 s
 * (recorded: 4 of 110, `pd-leader-killed-1s` and `pd-quorum-lost-20s`).
 */
const SLOW_LOOKUP = { oneIn: 27, ms: 5_000 };

export interface ProxiedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Passes requests on to PD's leader and its answers back; an answer does not show who gave it. */
export class LeaderProxy {
  readonly #parts: HttpParts;
  readonly #clock: Clock;
  #heldSinceMs: number | null = null;

  constructor(parts: HttpParts, clock: Clock) {
    this.#parts = parts;
    this.#clock = clock;
  }

  async pass(request: ProxiedRequest): Promise<Reply> {
    if (request.headers["pd-redirector"] !== undefined)
      return text("[PD:apiutil:ErrRedirectToNotLeader]redirect to not leader\n", 500);
    const leader = await this.#awaitLeader();
    if (leader === null) return text("[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n", 503);
    if (this.#isOffTheNetwork(leader)) return redirectFailed();
    try {
      return await this.#ask(leader, request);
    } catch (error) {
      const { timeFactor } = this.#parts.cluster;
      const isGone = (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
      if (isGone && this.#parts.random.int(SLOW_LOOKUP.oneIn) === 0)
        await this.#clock.sleep(SLOW_LOOKUP.ms * timeFactor);
      return redirectFailed();
    }
  }

  async #ask(leader: MemberMeta, request: ProxiedRequest): Promise<Reply> {
    const { self, rules } = this.#parts;
    const { host: _, connection: __, "content-length": ___, ...headers } = request.headers;
    const reply = await nodeHttp(
      {
        url: `${leader.clientUrls[0]}${request.url}`,
        method: request.method,
        headers: { ...headers, "PD-Redirector": self.name },
        body: request.body,
        peer: leader.name,
      },
      rules,
      AbortSignal.timeout(PROXY_TIMEOUT_MS),
    );
    const code = reply.headers["tidb-error-code"];
    return {
      status: reply.status,
      contentType: reply.headers["content-type"] ?? null,
      body: reply.body,
      ...(typeof code === "string" ? { headers: { "TiDB-Error-Code": code } } : {}),
    };
  }

  /** At first requests hang on connections that were open; from then on there is nobody to be reached. */
  #isOffTheNetwork(leader: MemberMeta): boolean {
    const now = this.#clock.monotonic();
    if (!this.#parts.rules.holds(leader.name)) this.#heldSinceMs = null;
    else this.#heldSinceMs ??= now;
    return this.#heldSinceMs !== null && now - this.#heldSinceMs > OPEN_HANG_MS * this.#parts.cluster.timeFactor;
  }

  async #awaitLeader(): Promise<MemberMeta | null> {
    const { leadership, cluster } = this.#parts;
    const deadline = this.#clock.monotonic() + WAIT_FOR_LEADER_MS * Math.min(1, cluster.timeFactor);
    for (;;) {
      const { leader } = leadership;
      // Itself: it has just become leader, and the caller is better served by asking again.
      if (leader !== null) return leader;
      if (this.#clock.monotonic() >= deadline) return null;
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }
}

const redirectFailed = (): Reply => text("[PD:apiutil:ErrRedirect]redirect failed\n", 500);
