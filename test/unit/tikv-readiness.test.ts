import { describe, expect, test } from "vitest";
import type { Component } from "../../harness/protocol.ts";
import type { PdClient } from "../../subjects/tikv/kit/clients/pd.ts";
import { regionsSchema, storesSchema } from "../../subjects/tikv/kit/clients/pd-shapes.ts";
import { candidatesFor, waitSteady } from "../../subjects/tikv/readiness.ts";
import { ManualClock } from "../support/manual-clock.ts";

const never = new AbortController().signal;
const componentOf = (address: string) => address.replace(/:\d+$/, "") as Component;

const store = (id: number, state = "Up") => ({
  store: { id: String(id), address: `tikv${id}:20160`, state_name: state },
  status: {},
});
const peers = [1, 2, 3].map((id) => ({ id: String(id), store_id: String(id) }));
const region = (leader: number | null, extra: object = {}) => ({
  id: "10",
  peers,
  ...(leader === null ? {} : { leader: { id: String(leader), store_id: String(leader) } }),
  ...extra,
});

/** Just what readiness asks of PD. */
function pd(
  stores: object[],
  regions: object[],
  { leader = "pd1", sick = [] }: { leader?: string | null; sick?: readonly string[] } = {},
): PdClient {
  const members = ["pd2", "pd1", "pd0"] as Component[];
  return {
    members,
    health: async () => members.map((name) => ({ name, healthy: !sick.includes(name) })),
    leader: async () => (leader === null ? null : { name: leader as Component, votes: 3, of: 3, byMajority: true }),
    stores: async () => storesSchema.parse({ stores }),
    regions: async () => regionsSchema.parse({ count: regions.length, regions }),
  } as unknown as PdClient;
}

const up = [store(1), store(2), store(3)];

describe("waitSteady", () => {
  const ready = async (client: PdClient): Promise<string> => {
    const clock = new ManualClock();
    const waiting = waitSteady({ pd: client, componentOf, clock }, { timeoutMs: 1_000 }, never).then(
      () => "ready",
      (error: Error) => error.message,
    );
    await clock.advance(5_000);
    return await waiting;
  };

  test("three stores, led and replicated regions", async () => {
    expect(await ready(pd(up, [region(1), region(3)]))).toBe("ready");
  });

  test.each([
    ["no leader of PD", pd(up, [region(1)], { leader: null }), "no PD leader"],
    [
      "a member of PD that does not lead is down",
      pd(up, [region(1)], { sick: ["pd0"] }),
      "2 of 3 PD members are healthy",
    ],
    ["a store is missing", pd([store(1), store(2), store(3, "Disconnected")], [region(1)]), "2 of 3 stores are Up"],
    ["no region yet", pd(up, []), "0 of 0 regions"],
    ["a region without a leader", pd(up, [region(1), region(null)]), "1 of 2 regions lack"],
    ["a region with two replicas", pd(up, [region(1, { peers: peers.slice(1) })]), "1 of 1 regions lack"],
    ["a replica that has not caught up", pd(up, [region(1, { pending_peers: [peers[1]] })]), "1 of 1 regions lack"],
  ])("not while %s; says so", async (_, client, missing) => {
    expect(await ready(client)).toContain(missing);
  });
});

describe("candidatesFor", () => {
  const from = (client: PdClient, predicate: string) =>
    candidatesFor(predicate, { pd: client, componentOf, clock: new ManualClock() }, never);

  test("in order of name, whatever order PD answers in", async () => {
    expect(await from(pd(up.toReversed(), []), "any-store")).toEqual(["tikv1", "tikv2", "tikv3"]);
    expect(await from(pd(up, []), "pd-follower")).toEqual(["pd0", "pd2"]);
    expect(await from(pd(up, []), "pd-leader")).toEqual(["pd1"]);
  });

  test("leads-region: stores that are Up and lead something", async () => {
    const stores = [store(1), store(2), store(3, "Down")];
    expect(await from(pd(stores, [region(2), region(3), region(null)]), "leads-region")).toEqual(["tikv2"]);
  });

  test("an unknown predicate is an error that names the known ones", async () => {
    await expect(from(pd(up, []), "tallest")).rejects.toThrow(/leads-region, pd-leader/);
  });
});
