import { createHash } from "node:crypto";
import type { ReadProblem } from "../quorum-reads.ts";
import type { MemberMeta } from "../state.ts";
import type { HttpParts } from "./parts.ts";
import { empty, text, type Reply, type Routes } from "./reply.ts";

/** The embedded etcd's own HTTP and what else is always answered by the member itself. */
export function etcdRoutes(parts: HttpParts): Routes {
  const { metrics } = parts;
  return {
    "GET /health": async ({ query }) => etcdHealth(parts, query.get("serializable") === "true"),
    "GET /livez": () => text("ok\n"),
    "GET /readyz": async () => readyz(await parts.reads.read(), ["data_corruption", "serializable_read"]),
    "GET /readyz/linearizable_read": async () => readyz(await parts.reads.read(), []),
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
    "POST /v3/maintenance/status": () => gateway(parts, status(parts)),
    "POST /v3/cluster/member/list": () => gateway(parts, { members: members(parts) }),
    "GET /pd/api/v2/ready": () => (parts.leadership.started ? empty() : empty(500)),
  };
}

async function etcdHealth(parts: HttpParts, serializable: boolean): Promise<Reply> {
  if (serializable) return healthy();
  if (parts.consensus.role.leader === 0) return unhealthy("RAFT NO LEADER");
  const problem = await parts.reads.read();
  return problem === null ? healthy() : unhealthy(`RANGE ERROR:etcdserver: ${problem}`);
}

function healthy(): Reply {
  return text('{"health":"true","reason":""}');
}

function unhealthy(reason: string): Reply {
  return text(`{"health":"false","reason":"${reason}"}\n`, 503);
}

function readyz(problem: ReadProblem | null, passed: readonly string[]): Reply {
  if (problem === null) return text("ok\n");
  const before = passed.map((check) => `[+]${check} ok\n`).join("");
  return text(`${before}[-]linearizable_read failed: etcdserver: ${problem}\n\n`, 503);
}

/** etcd's gRPC gateway: 64-bit numbers are text, and what is zero is left out (etcd-io/etcd:api/etcdserverpb/rpc.proto). */
function gateway({ consensus, cluster, self }: HttpParts, reply: Readonly<Record<string, unknown>>): Reply {
  const header = {
    cluster_id: etcdClusterId(cluster.state.members),
    member_id: self.id,
    revision: String(consensus.applied),
    raft_term: String(consensus.term),
  };
  return { status: 200, contentType: "application/json", body: JSON.stringify({ header, ...reply }) };
}

function status({ consensus }: HttpParts): Record<string, unknown> {
  const leader = consensus.state.members.find(({ name }) => name === consensus.raftLeader);
  const [applied, term] = [String(consensus.applied), String(consensus.term)];
  return {
    version: "3.5.15",
    dbSize: String(consensus.sizeBytes),
    ...(leader === undefined ? {} : { leader: leader.id }),
    raftIndex: applied,
    raftTerm: term,
    raftAppliedIndex: applied,
    ...(leader === undefined ? { errors: ["etcdserver: no leader"] } : {}),
    dbSizeInUse: String(consensus.sizeBytes),
  };
}

function members({ cluster }: HttpParts): unknown[] {
  return cluster.state.members.map(({ id, name, peerUrls, clientUrls }) => ({
    ID: id,
    name,
    peerURLs: peerUrls,
    clientURLs: clientUrls,
  }));
}

/** As etcd makes it: from its members' ids, in order (server/etcdserver/api/membership/cluster.go, `genID`). */
function etcdClusterId(all: readonly MemberMeta[]): string {
  const ids = all.map(({ id }) => BigInt(id)).sort((a, b) => (a < b ? -1 : 1));
  const bytes = Buffer.concat(
    ids.map((id) => {
      const part = Buffer.alloc(8);
      part.writeBigUInt64BE(id);
      return part;
    }),
  );
  return createHash("sha1").update(bytes).digest().readBigUInt64BE(0).toString();
}
