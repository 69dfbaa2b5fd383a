import { describe, expect, test } from "vitest";
import type { Component, ContainerState, EpochMs, Judgement, Reading } from "../../harness/protocol.ts";
import { tikvInvariants } from "../../subjects/tikv/invariants/index.ts";
import type {
  MetricsView,
  PdMemberView,
  PdView,
  TikvObservation,
  TikvSources,
} from "../../subjects/tikv/observation.ts";

const at = 0 as EpochMs;
const ok = <T>(value: T): Reading<T> => ({ ok: true, value, at });
const gone = (why: string): Reading<never> => ({ ok: false, why, at });

const observation = (sources: TikvSources, monotonicMs = 0): TikvObservation => ({ at, monotonicMs, sources });

/** Judgements of one invariant as short text: `violated tikv1 critical: message`. */
function judge(name: string, window: TikvSources | readonly TikvObservation[]): string[] {
  const invariant = tikvInvariants().find((one) => one.name === name);
  if (invariant === undefined) throw new Error(`no invariant ${name}`);
  const observations = Array.isArray(window) ? (window as TikvObservation[]) : [observation(window as TikvSources)];
  return invariant.judge(observations).map(text);
}

function text(judgement: Judgement): string {
  const where = judgement.component ?? "-";
  if (judgement.state === "violated") return `violated ${where} ${judgement.severity}: ${judgement.message}`;
  return `${judgement.state} ${where}`;
}

const OLD = 60_000;
const pd = (states: Readonly<Record<string, string>>, forMs = OLD, more: Partial<PdView> = {}): Reading<PdView> =>
  ok({
    leader: { name: "pd0" as Component, forMs, votes: 3, of: 3 },
    stores: ok(
      Object.entries(states).map(([component, stateName], index) => ({
        component: component as Component,
        id: String(index + 1),
        stateName,
        leaderCount: 4,
        regionCount: 12,
        startedAtMs: 1_000,
      })),
    ),
    regions: ok({ missPeer: 0, downPeer: 0, pendingPeer: 0, offlinePeer: 0 }),
    ...more,
  });
const probe = (answers: boolean) => ok({ tikv1: { answers, why: answers ? null : "refused" } });

describe("store_up", () => {
  const SILENT = "violated tikv1 critical: tikv1 does not answer";
  test.each<[string, TikvSources, string]>([
    ["answers, Up for an old leader", { probes: probe(true), pd: pd({ tikv1: "Up" }) }, "held tikv1"],
    ["silent, still Up for PD", { probes: probe(false), pd: pd({ tikv1: "Up" }) }, SILENT],
    ["silent, PD away", { probes: probe(false), pd: gone("no member") }, SILENT],
    ["answers, PD away", { probes: probe(true), pd: gone("no member") }, "unknown tikv1"],
    [
      "answers, Disconnected for a new leader",
      { probes: probe(true), pd: pd({ tikv1: "Disconnected" }, 1_000) },
      "unknown tikv1",
    ],
    [
      "silent, Disconnected for a new leader",
      { probes: probe(false), pd: pd({ tikv1: "Disconnected" }, 1_000) },
      SILENT,
    ],
    ["no probe, Up for a new leader", { pd: pd({ tikv1: "Up" }, 19_999) }, "unknown tikv1"],
    ["no probe, Up for an old leader", { pd: pd({ tikv1: "Up" }, 20_000) }, "held tikv1"],
    [
      "no probe, Disconnected",
      { pd: pd({ tikv1: "Disconnected" }) },
      "violated tikv1 critical: PD has not heard from tikv1 (Disconnected)",
    ],
    ["no probe, Down", { pd: pd({ tikv1: "Down" }) }, "violated tikv1 critical: PD has not heard from tikv1 (Down)"],
    [
      "being removed",
      { probes: probe(true), pd: pd({ tikv1: "Offline" }) },
      "violated tikv1 warning: PD is removing tikv1 (Offline)",
    ],
    ["answers, Up for a new leader", { probes: probe(true), pd: pd({ tikv1: "Up" }, 0) }, "held tikv1"],
    [
      "being removed, for a new leader",
      { pd: pd({ tikv1: "Offline" }, 0) },
      "violated tikv1 warning: PD is removing tikv1 (Offline)",
    ],
    [
      "no leader: its stores are nobody's view",
      { probes: probe(true), pd: pd({ tikv1: "Up" }, OLD, { leader: null }) },
      "unknown tikv1",
    ],
    [
      "clients suffer",
      { probes: probe(false), client: ok({ windowMs: 5_000, operations: 100, okRatio: 0.71, p99Ms: 900 }) },
      `${SILENT}; 29 % of client operations fail`,
    ],
  ])("%s", (_, sources, expected) => {
    expect(judge("store_up", sources)).toEqual([expected]);
  });

  test("a store that came back under a new id is judged by the id that PD hears from", () => {
    const stores = ["Down", "Up"].map((stateName, index) => ({
      component: "tikv1" as Component,
      id: String(index),
      stateName,
      leaderCount: 0,
      regionCount: 0,
      startedAtMs: null,
    }));
    expect(judge("store_up", { pd: pd({}, OLD, { stores: ok(stores) }) })).toEqual(["held tikv1"]);
    expect(judge("store_up", { pd: pd({}, OLD, { stores: ok(stores.toReversed()) }) })).toEqual(["held tikv1"]);
  });
});

type MemberState = "well" | "silent" | "no-leader" | "changing" | "hanging";
const member = (state: MemberState): PdMemberView => {
  const etcd = (status: number, healthy: boolean, reason: string) =>
    ok({ member: "pd0" as Component, status, healthy, reason });
  switch (state) {
    case "well":
      return { answers: true, why: null, etcd: etcd(200, true, "") };
    case "no-leader":
      return { answers: true, why: null, etcd: etcd(503, false, "RAFT NO LEADER") };
    case "changing":
      return { answers: true, why: null, etcd: etcd(503, false, "RANGE ERROR:etcdserver: leader changed") };
    case "hanging":
      return { answers: true, why: null, etcd: gone("no answer within 700 ms") };
    case "silent":
      return { answers: false, why: "refused", etcd: gone("refused") };
  }
};
const members = (...states: MemberState[]): TikvSources => ({
  pdMembers: ok(Object.fromEntries(states.map((state, i) => [`pd${i}`, member(state)]))),
});

describe("pd_member_up", () => {
  test.each<[MemberState[], string[]]>([
    [
      ["well", "well", "well"],
      ["held pd0", "held pd1", "held pd2"],
    ],
    [
      ["well", "silent", "well"],
      ["held pd0", "violated pd1 critical: pd1 does not answer", "held pd2"],
    ],
    [
      ["well", "no-leader", "well"],
      ["held pd0", "violated pd1 warning: pd1 answers but has lost the other members (RAFT NO LEADER)", "held pd2"],
    ],
    [
      ["silent", "silent", "no-leader"],
      ["violated pd0 critical: pd0 does not answer", "violated pd1 critical: pd1 does not answer", "unknown pd2"],
    ],
    [
      ["changing", "well", "changing"],
      ["unknown pd0", "held pd1", "unknown pd2"],
    ],
    [
      ["hanging", "well", "well"],
      ["unknown pd0", "held pd1", "held pd2"],
    ],
  ])("%j", (states, expected) => {
    expect(judge("pd_member_up", members(...states))).toEqual(expected);
  });
});

describe("pd_quorum", () => {
  test.each<[MemberState[], string]>([
    [["well", "well", "well"], "held -"],
    [
      ["well", "silent", "well"],
      "violated - warning: PD stops if it loses one more member: 2 of 3 PD members are well",
    ],
    [["silent", "silent", "hanging"], "violated - critical: PD has no majority: 1 of 3 PD members are well"],
    [["silent", "silent", "no-leader"], "violated - critical: PD has no majority: 0 of 3 PD members are well"],
    [["changing", "well", "changing"], "unknown -"],
    [["well", "well", "well", "well", "silent"], "held -"],
    [
      ["well", "well", "well", "silent", "silent"],
      "violated - warning: PD stops if it loses one more member: 3 of 5 PD members are well",
    ],
  ])("%j", (states, expected) => {
    expect(judge("pd_quorum", members(...states))).toEqual([expected]);
  });
});

describe("pd_leader and region_health", () => {
  test("a leader, none, and nobody to ask", () => {
    expect(judge("pd_leader", { pd: pd({}) })).toEqual(["held -"]);
    expect(judge("pd_leader", { pd: pd({}, 0, { leader: null }) })).toEqual(["violated - critical: PD has no leader"]);
    expect(judge("pd_leader", { pd: gone("no PD member answers") })).toEqual(["unknown -"]);
    expect(judge("pd_leader", {})).toEqual([]);
  });

  test("regions", () => {
    const counts = (downPeer: number, offlinePeer = 0) => ok({ missPeer: 0, downPeer, pendingPeer: 0, offlinePeer });
    expect(judge("region_health", { pd: pd({}) })).toEqual(["held -"]);
    expect(judge("region_health", { pd: pd({}, 59_999) })).toEqual(["unknown -"]);
    expect(judge("region_health", { pd: pd({}, 1, { regions: counts(3, 1) }) })).toEqual([
      "violated - warning: regions: 3 have a replica that is down, 1 have a replica on a store that is being removed",
    ]);
    expect(judge("region_health", { pd: pd({}, OLD, { regions: gone("500") }) })).toEqual(["unknown -"]);
  });
});

describe("figures from Prometheus", () => {
  const metrics = (more: Partial<MetricsView>): TikvSources => ({
    prometheus: ok({ targets: [], p99Ms: {}, errorRatio: null, disk: {}, ...more }),
  });
  const GiB = 1024 ** 3;
  test.each<[string, Partial<MetricsView>, string[]]>([
    [
      "latency",
      { p99Ms: { tikv1: 40, tikv2: 1_400 } },
      ["held tikv1", "violated tikv2 warning: tikv2: p99 of requests is 1400 ms"],
    ],
    ["latency", {}, []],
    ["error_ratio", { errorRatio: 0.01 }, ["held -"]],
    ["error_ratio", { errorRatio: 0.2 }, ["violated - warning: stores fail 20 % of requests"]],
    ["error_ratio", {}, ["unknown -"]],
    ["disk_space", { disk: { tikv1: { usedShare: 0.95, availableBytes: 50 * GiB } } }, ["held tikv1"]],
    [
      "disk_space",
      { disk: { tikv1: { usedShare: 0.9, availableBytes: 7 * GiB } } },
      ["violated tikv1 warning: tikv1: disk 90 % full, 7.0 GiB free"],
    ],
    [
      "disk_space",
      { disk: { tikv1: { usedShare: 0.97, availableBytes: 2 * GiB } } },
      ["violated tikv1 critical: tikv1: disk 97 % full, 2.0 GiB free"],
    ],
    [
      "target_up",
      {
        targets: [
          { component: "pd0" as Component, job: "pd", up: true },
          { component: "tikv1" as Component, job: "tikv", up: false },
          { component: "client" as Component, job: "client", up: false },
        ],
      },
      ["held pd0", "violated tikv1 warning: Prometheus cannot scrape tikv1"],
    ],
  ])("%s of %j", (name, more, expected) => {
    expect(judge(name, metrics(more))).toEqual(expected);
  });

  test.each(["latency", "error_ratio", "disk_space", "target_up"])("%s is unknown without Prometheus", (name) => {
    expect(judge(name, { prometheus: gone("refused") })).toEqual(["unknown -"]);
    expect(judge(name, {})).toEqual([]);
  });
});

describe("client_success", () => {
  const clients = (operations: number, okRatio: number | null): TikvSources => ({
    client: ok({ windowMs: 5_000, operations, okRatio, p99Ms: 10 }),
  });
  test.each<[TikvSources, string[]]>([
    [clients(100, 1), ["held -"]],
    [clients(100, 0.95), ["held -"]],
    [clients(100, 0.9), ["violated - critical: 10 % of client operations fail"]],
    [clients(3, 0), ["unknown -"]],
    [clients(0, null), ["unknown -"]],
    [{ client: gone("no answer") }, ["unknown -"]],
    [{}, []],
  ])("%j", (sources, expected) => {
    expect(judge("client_success", sources)).toEqual(expected);
  });
});

describe("restarts", () => {
  const engine = (restartCount: number): TikvSources => ({
    engine: ok([{ component: "tikv1" as Component, restartCount } as ContainerState]),
  });
  const play = (...sources: TikvSources[]) =>
    judge(
      "restarts",
      sources.map((one, i) => observation(one, i * 1_000)),
    );
  const started = (...times: (number | null)[]) =>
    times.map((startedAtMs): TikvSources => {
      const store = { component: "tikv1" as Component, id: "1", stateName: "Up", leaderCount: 0, regionCount: 0 };
      return { pd: pd({}, OLD, { stores: ok([{ ...store, startedAtMs }]) }) };
    });

  test.each<[string, TikvSources[], string]>([
    ["none", [engine(4), engine(4)], "held tikv1"],
    ["one", [engine(0), engine(1)], "held tikv1"],
    ["two", [engine(0), engine(1), engine(2)], "violated tikv1 critical: tikv1 restarted 2 times within 60 s"],
    ["a new container counts from zero", [engine(5), engine(0), engine(1)], "held tikv1"],
    [
      "PD alone: start time moves twice",
      started(1, 2, 3),
      "violated tikv1 critical: tikv1 restarted 2 times within 60 s",
    ],
    ["PD alone: started once more", started(1, 1, 2), "held tikv1"],
    ["PD alone: never told", started(null, null), "unknown tikv1"],
  ])("%s", (_, sources, expected) => {
    expect(play(...sources)).toEqual([expected]);
  });
});

test("grace, clear and trust periods follow the time factor", () => {
  const [slow, fast] = [tikvInvariants(1), tikvInvariants(0.2)];
  slow.forEach((invariant, i) => {
    expect(fast[i]?.graceMs).toBeCloseTo(invariant.graceMs / 5);
    expect(fast[i]?.clearMs).toBeCloseTo(invariant.clearMs / 5);
  });
  const storeUp = fast.find((invariant) => invariant.name === "store_up");
  expect(storeUp?.judge([observation({ pd: pd({ tikv1: "Up" }, 4_000) })]).map(text)).toEqual(["held tikv1"]);
});
