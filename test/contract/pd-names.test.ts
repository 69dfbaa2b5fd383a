import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { namePdMembers } from "../../subjects/tikv/pd-names.ts";
import { RecordedServers, type RecordedAnswer, recording } from "../support/recorded-server.ts";

const deps = { clock: systemClock, fetch: globalThis.fetch };
const signal = new AbortController().signal;
const MEMBERS = "/pd/api/v1/members";
const STATUS = "/v3/maintenance/status";

const membership = recording("healthy").answers["pd0"]?.[MEMBERS] as RecordedAnswer;
/** etcd's gRPC gateway writes 64-bit numbers as text. */
const etcd = (memberId: string): RecordedAnswer => ({
  status: 200,
  body: JSON.stringify({ header: { cluster_id: "1", member_id: memberId }, version: "3.5.15" }),
});

test("ports that are mapped: the etcd behind each says which member it is", async () => {
  await using servers = await RecordedServers.start({
    a: { [MEMBERS]: membership, [STATUS]: etcd("17107318113395953248") },
    b: { [MEMBERS]: membership, [STATUS]: etcd("16382016976602811638") },
    c: { [MEMBERS]: membership, [STATUS]: etcd("3486081234046183923") },
  });
  const { a, b, c } = servers.urls as Record<"a" | "b" | "c", string>;
  expect(await namePdMembers([a, b, c], deps, signal)).toEqual({ pd1: a, pd0: b, pd2: c });
});

test("addresses that PD advertises need no question; who cannot be told apart keeps its address", async () => {
  const noLeader = { status: 503, body: "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n" };
  const known: Record<string, RecordedAnswer> = {};
  await using servers = await RecordedServers.start({ a: { [MEMBERS]: noLeader }, b: known });
  const { a, b } = servers.urls as Record<"a" | "b", string>;
  known[MEMBERS] = { status: 200, body: (membership.body ?? "").replace("http://pd2:2379", b) };
  expect(await namePdMembers([a, b], deps, signal)).toEqual({ [a.replace("http://", "")]: a, pd2: b });
  expect(servers.asked["b"]).not.toContain(`POST ${STATUS}`);
});

test("nobody there: the hosts are the names", async () => {
  const dead = ["http://127.0.0.1:1", "http://localhost:1"];
  expect(await namePdMembers(dead, deps, signal)).toEqual({ "127.0.0.1": dead[0], localhost: dead[1] });
});
