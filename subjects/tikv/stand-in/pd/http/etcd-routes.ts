import type { HttpParts } from "./parts.ts";
import { empty, text, type Reply, type Routes } from "./reply.ts";

/** How long etcd waits for a quorum before it says so. */
const QUORUM_TIMEOUT_MS = 5_000;

/** The embedded etcd's own HTTP and what else is always answered by the member itself. */
export function etcdRoutes(parts: HttpParts): Routes {
  const { metrics } = parts;
  return {
    "GET /health": async ({ query }) => etcdHealth(parts, query.get("serializable") === "true"),
    "GET /livez": () => text("ok\n"),
    "GET /readyz": async () => {
      const problem = await quorumProblem(parts);
      return problem === null
        ? text("ok\n")
        : text(
            `[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: ${problem}\n\n`,
            503,
          );
    },
    "GET /readyz/linearizable_read": async () =>
      (await quorumProblem(parts)) === null ? text("ok\n") : text("[-]linearizable_read failed\n", 503),
    "GET /version": () => ({
      status: 200,
      contentType: "application/json",
      body: '{"etcdserver":"3.5.15","etcdcluster":"3.5.0"}',
    }),
    "GET /metrics": () => ({
      status: 200,
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      body: metrics.text(),
    }),
    "GET /pd/api/v2/ready": () => (parts.leadership.started ? empty() : empty(500)),
  };
}

async function etcdHealth(parts: HttpParts, serializable: boolean): Promise<Reply> {
  if (serializable) return healthy();
  if (parts.consensus.role.leader === 0) return unhealthy("RAFT NO LEADER");
  const problem = await quorumProblem(parts);
  return problem === null ? healthy() : unhealthy(`RANGE ERROR:etcdserver: ${problem}`);
}

function healthy(): Reply {
  return text('{"health":"true","reason":""}');
}

function unhealthy(reason: string): Reply {
  return text(`{"health":"false","reason":"${reason}"}\n`, 503);
}

/** Null when a majority is behind what this member would answer. A follower goes by hearing from a leader. */
async function quorumProblem({ consensus, cluster }: HttpParts): Promise<string | null> {
  const { role, leader } = consensus.role;
  const patience = AbortSignal.timeout(QUORUM_TIMEOUT_MS * Math.min(1, cluster.timeFactor));
  if (leader === 0) return "request timed out";
  if (role !== "leader") return null;
  try {
    await consensus.confirmLeading(patience);
    return null;
  } catch {
    return patience.aborted ? "request timed out" : "leader changed";
  }
}
