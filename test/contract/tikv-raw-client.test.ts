import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { ScriptedTikv, type Twist } from "../support/scripted-tikv.ts";

const signal = new AbortController().signal;
const DEADLINE_MS = 600;

describe("raw client", () => {
  let cluster: ScriptedTikv;
  let client: RawClient;

  const newClient = (deadlineMs = DEADLINE_MS) =>
    new RawClient({
      pdEndpoints: cluster.pdEndpoints,
      advertised: cluster.advertised,
      deadlineMs,
      clock: systemClock,
      random: seededRandom(1),
    });

  beforeEach(async () => {
    cluster = await ScriptedTikv.start();
    client = newClient();
  });
  afterEach(async () => {
    client[Symbol.dispose]();
    await cluster[Symbol.asyncDispose]();
  });

  /** The first `times` raw calls are answered so. */
  const first = (times: number, twist: Twist) => {
    let left = times;
    cluster.twist = () => (left-- > 0 ? twist : null);
  };

  test("writes and reads through PD's routing and the address book, one PD question per region", async () => {
    expect(await client.put("k0a", "one", signal)).toEqual({ outcome: "ok", value: null, error: null });
    expect(await client.get("k0a", signal)).toEqual({ outcome: "ok", value: "one", error: null });
    expect(await client.get("k0b", signal)).toEqual({ outcome: "ok", value: null, error: null });
    expect(await client.delete("k0a", signal)).toEqual({ outcome: "ok", value: null, error: null });
    expect(await client.get("k0a", signal)).toEqual({ outcome: "ok", value: null, error: null });
    expect(cluster.pdCalls.filter((call) => call.endsWith("GetRegion"))).toHaveLength(1);
    expect(new Set(cluster.calls.map((call) => call.store))).toEqual(new Set(["1"]));
  });

  test("many at once find their regions' leaders", async () => {
    const keys = Array.from({ length: 60 }, (_, n) => `k${(n % 3).toString(16)}-${n}`);
    const results = await Promise.all(keys.map((key) => client.put(key, key, signal)));
    expect(results.every((result) => result.outcome === "ok")).toBe(true);
    expect(cluster.data.size).toBe(60);
    expect(new Set(cluster.calls.map((call) => call.store))).toEqual(new Set(["1", "2", "3"]));
  });

  test("not_leader with a leader switches at once", async () => {
    cluster.pdSays = (region) => ({ ...region, leader: "3" });
    expect((await client.put("k0", "v", signal)).outcome).toBe("ok");
    expect(cluster.calls.map((call) => call.store)).toEqual(["3", "1"]);
  });

  test("not_leader without a leader asks other peers until one leads", async () => {
    cluster.regions[0]!.leader = null;
    const writing = client.put("k0", "v", signal);
    await until(() => cluster.calls.length >= 3);
    cluster.regions[0]!.leader = "2";
    expect((await writing).outcome).toBe("ok");
    expect(new Set(cluster.calls.map((call) => call.store)).size).toBeGreaterThan(1);
  });

  test("epoch_not_match takes the regions that the store names", async () => {
    await client.put("k05", "v", signal);
    cluster.regions[0] = { ...cluster.regions[0]!, end: "k05", version: 2 };
    cluster.regions.push({ id: "200", start: "k05", end: "k1", version: 2, leader: "1" });
    const asked = cluster.pdCalls.length;
    expect((await client.put("k06", "v", signal)).outcome).toBe("ok");
    expect(cluster.pdCalls.filter((call, index) => index >= asked && call.endsWith("GetRegion")).length).toBe(0);
    expect(cluster.calls.at(-1)?.region).toBe("200");
  });

  test.each([
    ["region_not_found", { region_not_found: {} }],
    ["key_not_in_region", { key_not_in_region: {} }],
    ["epoch_not_match without regions", { epoch_not_match: { current_regions: [] } }],
    ["server_is_busy", { server_is_busy: { reason: "busy", backoff_ms: "20" } }],
    ["stale_command", { stale_command: {} }],
    ["store_not_match", { store_not_match: {} }],
    ["read_index_not_ready", { read_index_not_ready: {} }],
    ["disk_full", { disk_full: {} }],
    ["mismatch_peer_id", { mismatch_peer_id: {} }],
    ["an error that is not known", { message: "something new" }],
  ])("%s once: tried again, ok", async (_, regionError) => {
    first(1, { region_error: regionError });
    expect((await client.put("k0", "v", signal)).outcome).toBe("ok");
    expect(cluster.calls.length).toBe(2);
    expect(cluster.data.get("k0")).toBe("v");
  });

  test.each([
    ["not_leader", { not_leader: {} }, "failed"],
    ["key_not_in_region", { key_not_in_region: {} }, "failed"],
    ["epoch_not_match", { epoch_not_match: { current_regions: [] } }, "failed"],
    ["store_not_match", { store_not_match: {} }, "failed"],
    ["disk_full", { disk_full: {} }, "failed"],
    ["raft_entry_too_large", { raft_entry_too_large: {} }, "failed"],
    ["region_not_found", { region_not_found: {} }, "unknown"],
    ["server_is_busy", { server_is_busy: {} }, "unknown"],
    ["stale_command", { stale_command: {} }, "unknown"],
    ["read_index_not_ready", { read_index_not_ready: {} }, "unknown"],
    ["mismatch_peer_id", { mismatch_peer_id: {} }, "unknown"],
    ["other", { message: "something new" }, "unknown"],
  ])("%s until the deadline (%j): %s", async (kind, regionError, outcome) => {
    cluster.twist = () => ({ region_error: regionError });
    expect(await client.put("k0", "v", signal)).toEqual({ outcome, value: null, error: kind });
  });

  test("one attempt that may have been proposed makes the whole unknown, however sure the others are", async () => {
    let calls = 0;
    cluster.twist = () => ({ region_error: calls++ === 0 ? { server_is_busy: {} } : { not_leader: {} } });
    expect((await client.put("k0", "v", signal)).outcome).toBe("unknown");
  });

  test("raft_entry_too_large is not tried again", async () => {
    cluster.twist = () => ({ region_error: { raft_entry_too_large: {} } });
    await client.put("k0", "v", signal);
    expect(cluster.calls.length).toBe(1);
  });

  test("text in `error` is unknown and not tried again", async () => {
    cluster.twist = () => ({ error: "panic in engine" });
    expect(await client.put("k0", "v", signal)).toEqual({ outcome: "unknown", value: null, error: "server_error" });
    expect(cluster.calls.length).toBe(1);
  });

  test("a store that applies and then hangs: unknown, and the value is there", async () => {
    cluster.twist = () => "applied-then-silence";
    cluster.unhealthy = new Set(["1", "2", "3"]);
    expect((await client.put("k0", "v", signal)).outcome).toBe("unknown");
    expect(cluster.data.get("k0")).toBe("v");
  });

  test("a hung store costs its calls one attempt; its regions are asked of other peers until it answers a probe", async () => {
    cluster.twist = ({ store }) => (store === "1" ? "silence" : null);
    cluster.unhealthy.add("1");
    await client.put("k0-warm", "v", signal);
    cluster.regions[0]!.leader = "2";
    const calls = cluster.calls.length;
    expect((await client.put("k0-next", "v", signal)).outcome).toBe("ok");
    expect(cluster.calls.slice(calls).some((call) => call.store === "1")).toBe(false);
    cluster.unhealthy.clear();
    cluster.twist = () => null;
    cluster.regions[0]!.leader = "1";
    // A probe that the store swallowed must time out first.
    while ((await client.put("k0-back", "v", signal)).outcome !== "ok");
    expect(cluster.calls.at(-1)?.store).toBe("1");
  });

  test("a killed store: unknown at first, served by the new leader, then by itself again", async () => {
    await client.put("k0-warm", "v", signal);
    await cluster.kill("tikv1");
    expect((await client.put("k0-down", "v", signal)).outcome).toBe("unknown");
    expect((await client.put("k0-still", "v", signal)).outcome).toBe("failed");
    cluster.regions[0]!.leader = "3";
    expect((await client.put("k0-moved", "v", signal)).outcome).toBe("ok");
    await cluster.restart("tikv1");
    cluster.regions[0]!.leader = "1";
    const patient = newClient(5_000);
    expect((await patient.put("k0-home", "v", signal)).outcome).toBe("ok");
    patient[Symbol.dispose]();
  });

  test("PD gone: cached routes serve on, an unknown region fails for certain", async () => {
    await client.put("k0", "v", signal);
    await cluster.kill("pd0");
    expect((await client.put("k0x", "v", signal)).outcome).toBe("ok");
    expect(await client.put("k1x", "v", signal)).toMatchObject({ outcome: "failed" });
  });

  test("PD knows no region: failed for certain at the deadline, ok as soon as it knows", async () => {
    cluster.pdKnowsNothing = true;
    expect(await client.put("k0", "v", signal)).toEqual({ outcome: "failed", value: null, error: "no_region" });
    expect(await client.get("k0", signal)).toEqual({ outcome: "failed", value: null, error: "no_region" });
    expect(await client.delete("k0", signal)).toEqual({ outcome: "failed", value: null, error: "no_region" });
    expect(cluster.calls).toEqual([]);
    using patient = newClient(5_000);
    const asked = cluster.pdCalls.length;
    const writing = patient.put("k0", "v", signal);
    await until(() => cluster.pdCalls.length > asked + 2);
    cluster.pdKnowsNothing = false;
    expect((await writing).outcome).toBe("ok");
  });

  test("a store that PD cannot name fails for certain too", async () => {
    cluster.pdSays = (region) => {
      cluster.pdKnowsNothing = true;
      return region;
    };
    expect(await client.put("k0", "v", signal)).toMatchObject({ outcome: "failed", value: null });
    expect(cluster.calls).toEqual([]);
  });

  test("a write that may have been proposed stays unknown when PD forgets its region", async () => {
    cluster.twist = () => {
      cluster.pdKnowsNothing = true;
      return { region_error: { region_not_found: {} } };
    };
    expect(await client.put("k0", "v", signal)).toEqual({ outcome: "unknown", value: null, error: "no_region" });
    expect(cluster.calls.length).toBe(1);
  });

  test("a store that comes back while PD is away serves again", async () => {
    await client.put("k0", "v", signal);
    await cluster.kill("tikv1");
    expect((await client.put("k0-down", "v", signal)).outcome).toBe("unknown");
    await cluster.kill("pd0");
    await cluster.restart("tikv1");
    while ((await client.put("k0-back", "v", signal)).outcome !== "ok");
    expect(cluster.data.get("k0-back")).toBe("v");
  });

  test("an abort ends the operation at once", async () => {
    cluster.twist = () => "silence";
    const abort = new AbortController();
    const writing = newClient(60_000).put("k0", "v", abort.signal);
    await until(() => cluster.calls.length > 0);
    abort.abort(new Error("stopped"));
    expect((await writing).outcome).toBe("unknown");
  });
});

describe("raw client and several PD members", () => {
  test("asks the leader that most members name, and finds the next one when it falls", async () => {
    await using cluster = await ScriptedTikv.start({ members: ["pd0", "pd1", "pd2"] });
    let leader = "pd1";
    // An old leader that was frozen still names itself.
    cluster.pdLeader = (member) => (member === "pd0" ? "pd0" : leader);
    cluster.pdRefuses = (member) => member !== leader;
    using client = new RawClient({
      pdEndpoints: cluster.pdEndpoints,
      advertised: cluster.advertised,
      deadlineMs: 3_000,
      clock: systemClock,
      random: seededRandom(1),
    });
    expect((await client.put("k0", "v", signal)).outcome).toBe("ok");
    expect(cluster.pdCalls).toContain("pd1 GetRegion");
    expect(cluster.pdCalls).not.toContain("pd0 GetRegion");
    leader = "pd2";
    expect((await client.put("k1", "v", signal)).outcome).toBe("ok");
    expect(cluster.pdCalls).toContain("pd2 GetRegion");
  });

  test("one endpoint is enough to find the others", async () => {
    await using cluster = await ScriptedTikv.start({ members: ["pd0", "pd1"] });
    cluster.pdLeader = () => "pd1";
    cluster.pdRefuses = (member) => member === "pd0";
    using client = new RawClient({
      pdEndpoints: ["pd0:2379"],
      advertised: cluster.advertised,
      deadlineMs: 3_000,
      clock: systemClock,
      random: seededRandom(1),
    });
    expect((await client.put("k0", "v", signal)).outcome).toBe("ok");
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
