import { describe, expect, test } from "vitest";
import { seededRandom } from "../../harness/base/random.ts";
import type { WorkloadOptions } from "../../harness/protocol.ts";
import { addressBook } from "../../subjects/tikv/workload/addresses.ts";
import { backoffMs } from "../../subjects/tikv/workload/backoff.ts";
import { HistoryLog, type HistoryEntry } from "../../subjects/tikv/workload/history-log.ts";
import { keyOf, splitKeys } from "../../subjects/tikv/workload/keys.ts";
import { LoadGenerator } from "../../subjects/tikv/workload/load-generator.ts";
import type { RawResult } from "../../subjects/tikv/workload/raw-client.ts";
import { RegionCache } from "../../subjects/tikv/workload/region-cache.ts";
import { readSettings, workloadEnvironment } from "../../subjects/tikv/workload/settings.ts";
import type { RegionMeta } from "../../subjects/tikv/workload/wire.ts";
import { ManualClock } from "../support/manual-clock.ts";

describe("load", () => {
  const workload: WorkloadOptions = { seed: 1, ratePerSecond: 100, clients: 4, keyPrefix: "k", deadlineMs: 500 };
  const setUp = (answer: (kind: string, key: string) => Promise<RawResult>) => {
    const clock = new ManualClock();
    const ended: HistoryEntry[] = [];
    let skipped = 0;
    const generator = new LoadGenerator({
      workload,
      run: "r1",
      client: { put: (key) => answer("write", key), get: (key) => answer("read", key) },
      clock,
      random: seededRandom(1),
      onEnd: (entry) => ended.push(entry),
      onSkip: () => skipped++,
    });
    generator.start();
    return { clock, ended, generator, skipped: () => skipped };
  };
  const ok = (value: string | null = null): RawResult => ({ outcome: "ok", value, error: null });

  test("starts at its rate, whatever becomes of earlier ones, on all clients in turn", async () => {
    const { clock, ended, generator } = setUp(() => Promise.resolve(ok()));
    await clock.advance(2_000);
    await generator.stop();
    expect(ended.length).toBe(201);
    expect(ended.slice(0, 5).map((entry) => entry.client)).toEqual([0, 1, 2, 3, 0]);
    expect(ended[100]?.startedMs).toBe(1_000);
  });
  test("each key is written once, reads ask for keys that were", async () => {
    const { clock, ended, generator } = setUp(() => Promise.resolve(ok("x")));
    await clock.advance(3_000);
    await generator.stop();
    const writes = ended.filter((entry) => entry.kind === "write");
    const keys = new Set(writes.map((entry) => entry.key));
    expect(keys.size).toBe(writes.length);
    expect([...generator.keys()].sort()).toEqual([...keys].sort());
    expect(new Set(writes.map((entry) => entry.value)).size).toBe(writes.length);
    expect(ended.filter((entry) => entry.kind === "read").every((entry) => keys.has(entry.key))).toBe(true);
  });
  test("while nothing ends, no more are started than can end in time", async () => {
    const pending: (() => void)[] = [];
    const { clock, generator, skipped } = setUp(() => new Promise((resolve) => pending.push(() => resolve(ok()))));
    await clock.advance(5_000);
    expect(generator.inFlight).toBe(54);
    expect(skipped()).toBe(501 - 54);
    const stopping = generator.stop();
    for (const finish of pending) finish();
    await stopping;
    expect(generator.inFlight).toBe(0);
  });
  test("the same seed loads the same ranges in the same order", async () => {
    const first = setUp(() => Promise.resolve(ok()));
    const second = setUp(() => Promise.resolve(ok()));
    for (const { clock, generator } of [first, second]) {
      await clock.advance(500);
      await generator.stop();
    }
    expect(second.ended.map(({ kind, key }) => [kind, key])).toEqual(first.ended.map(({ kind, key }) => [kind, key]));
  });
});

describe("history", () => {
  const entry = (n: number, fields: Partial<HistoryEntry> = {}): HistoryEntry => ({
    client: 0,
    kind: "write",
    key: `k${n}`,
    value: "v",
    outcome: "ok",
    startedMs: n,
    endedMs: n + 1,
    error: null,
    startedWallMs: 0,
    endedWallMs: 0,
    ...fields,
  });

  test("readers get everything once, from where they ask, and an end", async () => {
    const log = new HistoryLog(new ManualClock());
    const read = async (offset: number) => {
      const keys: string[] = [];
      for await (const batch of log.read(offset)) keys.push(...batch.map(({ key }) => key));
      return keys;
    };
    const [all, some] = [read(0), read(2)];
    for (let n = 0; n < 4; n++) {
      log.append(entry(n));
      await new Promise((resolve) => setImmediate(resolve));
    }
    log.close();
    expect(await all).toEqual(["k0", "k1", "k2", "k3"]);
    expect(await some).toEqual(["k2", "k3"]);
    expect(await read(4)).toEqual([]);
  });
  test("a quiet second is an empty batch", async () => {
    const clock = new ManualClock();
    const reader = new HistoryLog(clock).read(0);
    const next = reader.next();
    await clock.advance(1_000);
    expect(await next).toEqual({ done: false, value: [] });
    await reader.return();
  });
  test("what is no longer kept is refused, not skipped", async () => {
    const log = new HistoryLog(new ManualClock(), 100);
    for (let n = 0; n < 300; n++) log.append(entry(n));
    expect(log.count).toBe(300);
    await expect(log.read(0).next()).rejects.toThrow("is gone");
    expect((await log.read(250).next()).value).toHaveLength(50);
  });
  test("the window counts what ended in it, and what has been waiting for longer", async () => {
    const clock = new ManualClock();
    const log = new HistoryLog(clock);
    expect(log.window(1_000, [])).toEqual({ windowMs: 1_000, operations: 0, okRatio: null, p99Ms: null });
    await clock.advance(10_000);
    log.append(entry(0, { startedMs: 1, endedMs: 500 }));
    log.append(entry(1, { startedMs: 9_400, endedMs: 9_500 }));
    log.append(entry(2, { startedMs: 9_400, endedMs: 9_600, outcome: "failed" }));
    expect(log.window(1_000, [9_900])).toEqual({ windowMs: 1_000, operations: 2, okRatio: 0.5, p99Ms: 200 });
    expect(log.window(1_000, [8_000, 8_500])).toMatchObject({ operations: 4, okRatio: 0.25, p99Ms: 2_000 });
  });
});

describe("settings", () => {
  test("from the environment, flags first; empty means default", () => {
    const env = { PD_ENDPOINTS: "pd0:2379, http://pd1:2379", KEY_PREFIX: "", RATE: "10", ADVERTISED: '{"a:1":"b:2"}' };
    expect(readSettings(["--rate=20"], env)).toEqual({
      pdEndpoints: ["pd0:2379", "http://pd1:2379"],
      advertised: { "a:1": "b:2" },
      keyPrefix: "k",
      ratePerSecond: 20,
      clients: 8,
      deadlineMs: 2_000,
      seed: 1,
      listen: "0.0.0.0:9300",
    });
  });
  test("what an adapter sets is read back the same", () => {
    const settings = readSettings(["--pd-endpoints=a:1", "--seed=9", "--listen=127.0.0.1:5"], {});
    expect(readSettings([], workloadEnvironment(settings))).toEqual(settings);
  });
  test.each([
    [[], {}, "PD_ENDPOINTS"],
    [[], { PD_ENDPOINTS: "a", RATE: "0" }, "RATE"],
    [[], { PD_ENDPOINTS: "a", ADVERTISED: "{" }, "not JSON"],
    [[], { PD_ENDPOINTS: "a", LISTEN: "9300" }, "host:port"],
    [["--speed=1"], { PD_ENDPOINTS: "a" }, "--speed"],
  ])("%j %j is refused by name", (argv, env, message) => {
    expect(() => readSettings(argv, env)).toThrow(message);
  });
});

describe("keys and routes", () => {
  test("keys fall evenly below their prefix; a new run has new keys in the same places", () => {
    const keys = Array.from({ length: 1_600 }, (_, n) => keyOf({ keyPrefix: "k", seed: 5, run: "a" }, n));
    const bounds = ["", ...splitKeys("k"), "\uffff"];
    const counts = bounds.slice(1).map((end, index) => keys.filter((key) => key >= bounds[index]! && key < end).length);
    expect(counts).toHaveLength(16);
    for (const count of counts) expect(count).toBeGreaterThan(60);
    const again = keyOf({ keyPrefix: "k", seed: 5, run: "b" }, 0);
    expect(again).not.toBe(keys[0]);
    expect(again.slice(0, 9)).toBe(keys[0]!.slice(0, 9));
  });
  test("the address book takes names with and without a scheme", () => {
    const book = addressBook({ "http://pd0:2379": "127.0.0.1:1", "tikv0:20160": "127.0.0.1:2" });
    expect([book("pd0:2379"), book("http://pd0:2379/"), book("tikv0:20160"), book("other:3")]).toEqual([
      "127.0.0.1:1",
      "127.0.0.1:1",
      "127.0.0.1:2",
      "other:3",
    ]);
  });
  test("a new region replaces what it overlaps", () => {
    const region = (id: string, start: string, end: string): RegionMeta => ({
      id,
      start_key: Buffer.from(start),
      end_key: Buffer.from(end),
      region_epoch: null,
      peers: [{ id: `${id}1`, store_id: "1" }],
    });
    const cache = new RegionCache();
    const find = (key: string) => cache.find(Buffer.from(key))?.meta.id ?? null;
    cache.put(region("1", "", ""), null);
    expect(find("x")).toBe("1");
    cache.put(region("2", "m", ""), null);
    expect([find("a"), find("m"), find("x")]).toEqual([null, "2", "2"]);
    cache.put(region("3", "", "m"), null);
    expect([find("a"), find("lz"), find("m")]).toEqual(["3", "3", "2"]);
    cache.put(region("4", "c", "p"), null);
    expect([find("a"), find("c"), find("o"), find("p")]).toEqual([null, "4", "4", null]);
    expect(cache.put({ ...region("5", "p", ""), peers: [] }, null)).toBeNull();
  });
  test("waits double up to their cap, the upper half drawn", () => {
    const waits = Array.from({ length: 12 }, (_, attempt) =>
      backoffMs({ baseMs: 2, capMs: 500 }, attempt, seededRandom(attempt)),
    );
    waits.forEach((wait, attempt) => {
      const full = Math.min(500, 2 * 2 ** attempt);
      expect(wait).toBeGreaterThanOrEqual(full / 2);
      expect(wait).toBeLessThanOrEqual(full);
    });
  });
});
