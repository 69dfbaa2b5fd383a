import type { Clock } from "../../../../../harness/base/clock.ts";
import { nodeHttp } from "../../../../common/link/http-request.ts";
import type { MemberMeta } from "../state.ts";
import type { HttpParts } from "./parts.ts";
import { text, type Reply } from "./reply.ts";

const WAIT_FOR_LEADER_MS = 3_000;
const LOOK_EVERY_MS = 50;
/** Some calls to a leader that is gone take this long in the real one. */
const PROXY_TIMEOUT_MS = 10_000;

export interface ProxiedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Passes a request on to PD's leader and its answer back; the answer does not show who gave it. */
export async function proxyToLeader(request: ProxiedRequest, parts: HttpParts, clock: Clock): Promise<Reply> {
  if (request.headers["pd-redirector"] !== undefined)
    return text("[PD:apiutil:ErrRedirectToNotLeader]redirect to not leader\n", 500);
  const leader = await awaitLeader(parts, clock);
  if (leader === null) return text("[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n", 503);
  const { host: _, connection: __, "content-length": ___, ...headers } = request.headers;
  try {
    const reply = await nodeHttp(
      {
        url: `${leader.clientUrls[0]}${request.url}`,
        method: request.method,
        headers: { ...headers, "PD-Redirector": parts.self.name },
        body: request.body,
        peer: leader.name,
      },
      parts.rules,
      AbortSignal.timeout(PROXY_TIMEOUT_MS),
    );
    const code = reply.headers["tidb-error-code"];
    return {
      status: reply.status,
      contentType: reply.headers["content-type"] ?? null,
      body: reply.body,
      ...(typeof code === "string" ? { headers: { "TiDB-Error-Code": code } } : {}),
    };
  } catch {
    return text("[PD:apiutil:ErrRedirect]redirect failed\n", 500);
  }
}

async function awaitLeader({ leadership, cluster }: HttpParts, clock: Clock): Promise<MemberMeta | null> {
  const deadline = clock.monotonic() + WAIT_FOR_LEADER_MS * Math.min(1, cluster.timeFactor);
  for (;;) {
    const leader = leadership.leader;
    // Itself: it has just become leader, and the caller is better served by asking again.
    if (leader !== null) return leader;
    if (clock.monotonic() >= deadline) return null;
    await clock.sleep(LOOK_EVERY_MS);
  }
}
