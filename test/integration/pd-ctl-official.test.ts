import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";
import { startEmbedded } from "../support/embedded-cluster.ts";
import { buildPinned, describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;

interface Stores {
  readonly stores: readonly {
    readonly store: { readonly id: number; readonly state_name: string; readonly labels?: unknown };
    readonly status: { readonly leader_count?: number; readonly region_count?: number; readonly leader_weight: number };
  }[];
}
interface Regions {
  readonly count: number;
  readonly regions: readonly { readonly id: number; readonly leader: { readonly store_id: number } }[];
}

describeGo("to PD's own command line", () => {
  const scope = new AsyncDisposableStack();
  let cluster: EmbeddedInstance;
  let program: string;

  beforeAll(async () => {
    const whole = scope.use(await startEmbedded({ timeFactor: 0.2 }, signal));
    cluster = whole.instance;
    program = await buildPinned("test/tools/pd", "github.com/tikv/pd/tools/pd-ctl", whole.folder);
  }, GO_BUILD_TIMEOUT_MS + 60_000);
  afterAll(async () => await scope.disposeAsync());

  /** What it prints, of any member. */
  const say = async (...words: readonly string[]): Promise<string> => {
    const pd = cluster.endpoints("host").byComponent["pd1"]?.["client"] ?? "";
    const running = run(program, ["-u", pd, ...words], { timeout: 30_000 });
    // It takes more words from there.
    running.child.stdin?.end();
    return (await running).stdout.trim();
  };
  const ask = async <T>(...words: readonly string[]): Promise<T> => JSON.parse(await say(...words)) as T;
  const stores = async () => (await ask<Stores>("store")).stores;
  const storeIds = async () => (await stores()).map(({ store }) => store.id);
  const until = (what: string, holds: () => Promise<boolean>) =>
    waitFor(holds, { clock: systemClock, timeoutMs: 30_000, everyMs: 200, what });

  test("the members are there and well, one leads", async () => {
    const health = await ask<{ name: string; health: boolean }[]>("health");
    expect(health.map(({ name, health: well }) => [name, well]).toSorted()).toEqual([
      ["pd0", true],
      ["pd1", true],
      ["pd2", true],
    ]);
    const { members, leader } = await ask<{ members: { name: string }[]; leader: { name: string } }>("member");
    expect(members.map(({ name }) => name)).toContain(leader.name);
    expect(await ask("member", "leader", "show")).toMatchObject({ name: leader.name });
    expect(await ask("cluster")).toMatchObject({ max_peer_count: 3 });
    expect(await say("ping")).toMatch(/^time: /);
  });

  test("stores and regions are shown and found", async () => {
    const all = await stores();
    expect(all.map(({ store }) => store.state_name)).toEqual(["Up", "Up", "Up"]);
    const first = all[0]?.store.id ?? 0;
    expect(await ask("store", String(first))).toMatchObject({ store: { id: first } });
    expect(await say("store", "999")).toContain("[PD:core:ErrStoreNotFound]store 999 not found");
    const { regions, count } = await ask<Regions>("region");
    expect(regions).toHaveLength(count);
    const id = regions[0]?.id ?? 0;
    expect(await ask("region", String(id))).toMatchObject({ id, start_key: "" });
    expect(await ask("region", "key", "--format=raw", "a")).toMatchObject({ id });
    expect((await ask<Regions>("region", "store", String(first))).count).toBe(all[0]?.status.region_count);
    expect(await ask("region", "check", "miss-peer")).toEqual({ count: 0, regions: [] });
    for (const order of ["topread", "topwrite", "topsize"])
      expect((await ask<Regions>("region", order, "2")).regions, order).toHaveLength(2);
    expect(await say("store", "--jq=.stores[].store.state_name")).toBe('"Up"\n"Up"\n"Up"');
  });

  test("configuration is shown, changed, and refused in PD's words", async () => {
    expect(await ask("config", "show", "replication")).toMatchObject({ "max-replicas": 3 });
    expect(await say("config", "set", "leader-schedule-limit", "7")).toBe("Success!");
    expect(await ask("config", "show", "schedule")).toMatchObject({ "leader-schedule-limit": 7 });
    expect(await say("config", "set", "nonsense", "1")).toContain("config item nonsense not found");
    expect(await ask("config", "show")).toMatchObject({ schedule: { "leader-schedule-limit": 7 }, replication: {} });
    expect(await say("config", "show", "cluster-version")).toMatch(/^"8\.5\.\d+"$/);
    expect(await ask("config", "placement-rules", "show")).toMatchObject([{ group_id: "pd", id: "default", count: 3 }]);
  });

  test("schedulers are added, paused, resumed and removed, and act", async () => {
    const [store = 0] = await storeIds();
    const leaders = async () => (await ask<Stores["stores"][number]>("store", String(store))).status.leader_count ?? 0;
    expect(await ask("scheduler", "show")).toEqual(expect.arrayContaining(["balance-leader-scheduler"]));
    expect(await say("scheduler", "add", "evict-leader-scheduler", String(store))).toContain("Success!");
    expect(await ask("scheduler", "config", "evict-leader-scheduler")).toMatchObject({
      "store-id-ranges": { [store]: expect.anything() },
    });
    await until("the store to lead nothing", async () => (await leaders()) === 0);
    expect(await say("scheduler", "remove", `evict-leader-scheduler-${store}`)).toContain("Success!");
    expect(await ask("scheduler", "show")).not.toContain("evict-leader-scheduler");
    await until("leaders to come back", async () => (await leaders()) > 0);
    expect(await say("scheduler", "pause", "balance-region-scheduler", "60")).toContain("Success!");
    expect(await ask("scheduler", "show", "--status", "paused")).toEqual(["balance-region-scheduler"]);
    expect(await say("scheduler", "resume", "balance-region-scheduler")).toContain("Success!");
    expect(await ask("scheduler", "show", "--status", "paused")).toEqual([]);
    expect(await say("scheduler", "remove", "no-such-scheduler")).toContain("scheduler not found");
  });

  test("operators move what they are told to", async () => {
    expect(await say("scheduler", "pause", "balance-leader-scheduler", "600")).toContain("Success!");
    const { regions } = await ask<Regions>("region");
    const [region] = regions;
    const to = (await storeIds()).find((id) => id !== region?.leader.store_id) ?? 0;
    expect(await say("operator", "add", "transfer-leader", String(region?.id), String(to))).toContain("Success!");
    await until("the region to be led elsewhere", async () => {
      const now = await ask<Regions["regions"][number]>("region", String(region?.id));
      return now.leader.store_id === to;
    });
    expect(await say("operator", "history")).toContain(`region:${region?.id}`);
    expect(await say("operator", "add", "transfer-leader", "9999", String(to))).toContain("Failed!");
    expect(await say("operator", "check", "9999")).toContain("operator not found");
    expect(await say("scheduler", "resume", "balance-leader-scheduler")).toContain("Success!");
  });

  test("stores get labels, weights and limits, and cannot be spared", async () => {
    const [id = 0] = await storeIds();
    expect(await say("store", "label", String(id), "zone", "a")).toContain("Success!");
    expect(await say("store", "weight", String(id), "2", "1")).toContain("Success!");
    expect(await ask("store", String(id))).toMatchObject({
      store: { labels: [{ key: "zone", value: "a" }] },
      status: { leader_weight: 2 },
    });
    expect(await say("store", "limit", String(id), "20")).toContain("Success!");
    expect(await ask("store", "limit")).toMatchObject({ [id]: { "add-peer": 20, "remove-peer": 20 } });
    expect(await say("store", "delete", String(id))).toContain("[PD:core:ErrStoresNotEnough]");
    expect(await say("store", "weight", String(id), "1", "1")).toContain("Success!");
  });

  test("leadership of PD is handed over", async () => {
    const leader = async () => (await ask<{ name: string }>("member", "leader", "show")).name;
    const before = await leader();
    const next = before === "pd2" ? "pd0" : "pd2";
    expect(await say("member", "leader", "transfer", next)).toContain("Success!");
    await until("another leader", async () => (await leader().catch(() => before)) === next);
  });
});
