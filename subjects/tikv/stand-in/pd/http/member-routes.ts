import { nodeHttp } from "../../../../common/link/http-request.ts";
import { PdRefusal } from "../pd-refusal.ts";
import { timeText } from "../go-text.ts";
import type { MemberMeta } from "../state.ts";
import type { HttpParts } from "./parts.ts";
import { PD_VERSION, renderLeader, renderMember } from "./render.ts";
import { empty, json, objectBody, type Routes } from "./reply.ts";

const PING_TIMEOUT_MS = 3_000;

/** Members, leadership and what each member says of itself. */
export function memberRoutes(parts: HttpParts): Routes {
  const { cluster, leadership, self, startedAtMs } = parts;
  const named = (name: string): MemberMeta => {
    const member = cluster.state.members.find((each) => each.name === name);
    if (member === undefined) throw new PdRefusal(404, `not found, pd: ${name}`);
    return member;
  };
  return {
    "GET /pd/api/v1/ping": () => empty(),
    "GET /pd/api/v1/health": async () => json(await health(parts)),
    "GET /pd/api/v1/status": () =>
      json({
        build_ts: "None",
        version: PD_VERSION,
        git_hash: "None",
        start_timestamp: Math.floor(startedAtMs / 1_000),
      }),
    "GET /pd/api/v1/version": () => json({ version: PD_VERSION, build_time: "", hash: "", branch: "" }),
    "GET /pd/api/v1/members": () => {
      const leader = leadership.leader;
      const shown = leader === null ? {} : { leader: renderMember(leader), etcd_leader: renderMember(leader) };
      const { clusterId, members } = cluster.state;
      return json({ header: { cluster_id: BigInt(clusterId || "0") }, members: members.map(renderMember), ...shown });
    },
    "DELETE /pd/api/v1/members/name/{name}": async ({ params }) => removeMember(parts, named(params["name"] ?? "")),
    "DELETE /pd/api/v1/members/id/{id}": async ({ params }) => {
      const member = cluster.state.members.find(({ id }) => id === params["id"]);
      if (member === undefined)
        throw new PdRefusal(
          500,
          "[PD:etcd:ErrEtcdMemberRemove]etcdserver: member not found: etcdserver: member not found",
        );
      return removeMember(parts, member);
    },
    "POST /pd/api/v1/members/name/{name}": async ({ params, body }) => {
      const member = named(params["name"] ?? "");
      const priority = objectBody(body)["leader-priority"];
      if (typeof priority !== "number") throw new PdRefusal(400, "bad format leader priority");
      await cluster.decide({ kind: "member", member: { ...member, leaderPriority: priority } });
      return json("success");
    },
    "GET /pd/api/v1/leader": () => json(leadership.leader === null ? null : renderLeader(leadership.leader)),
    "POST /pd/api/v1/leader/resign": async () => {
      const heir = leadership.heir();
      if (heir === null) throw new PdRefusal(500, "no valid pd to transfer etcd leader");
      await leadership.handOver(heir);
      return json("The resign command is submitted.");
    },
    "POST /pd/api/v1/leader/transfer/{name}": async ({ params }) => {
      const heir = cluster.state.members.find(({ name }) => name === params["name"]);
      if (heir === undefined) throw new PdRefusal(500, "no valid pd to transfer etcd leader");
      if (heir.name !== self.name) await leadership.handOver(heir);
      return json("The transfer command is submitted.");
    },
    "GET /pd/api/v1/cluster": () =>
      json({
        id: BigInt(cluster.state.clusterId || "0"),
        max_peer_count: Number(cluster.state.replication["max-replicas"]),
      }),
    "GET /pd/api/v1/cluster/status": () => {
      const at = cluster.state.bootstrappedAtMs;
      return json({
        raft_bootstrap_time: at === null ? "0001-01-01T00:00:00Z" : timeText(at),
        is_initialized: at !== null,
        replication_status: "",
      });
    },
  };
}

/** Asks every member's /ping, one after the other, as PD does: slow where one hangs. */
async function health({ cluster, self, rules }: HttpParts): Promise<unknown[]> {
  const shown = [];
  for (const member of cluster.state.members) {
    const url = member.clientUrls[0];
    const asked = async () => {
      if (member.name === self.name) return true;
      if (url === undefined) return false;
      const request = { url: `${url}/pd/api/v1/ping`, method: "GET", peer: member.name };
      return (await nodeHttp(request, rules, AbortSignal.timeout(PING_TIMEOUT_MS))).status === 200;
    };
    shown.push({
      name: member.name,
      member_id: BigInt(member.id),
      client_urls: member.clientUrls,
      health: await asked().catch(() => false),
    });
  }
  return shown;
}

async function removeMember({ cluster, consensus }: HttpParts, member: MemberMeta) {
  await cluster.decide({ kind: "remove-member", name: member.name });
  if (!consensus.removeMember(member.raftId))
    throw new PdRefusal(500, "[PD:etcd:ErrEtcdMemberRemove]etcdserver: another change is under way");
  return json(`removed, pd: ${member.name}`);
}
