import { describe, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { startPdCluster } from "../support/pd-cluster.ts";
import { tikvProcesses } from "../support/tikv-processes.ts";

const TIME_FACTOR = 0.1;
const signal = new AbortController().signal;

interface StoreView {
  readonly store: { readonly id: number; readonly address: string; readonly state_name: string };
  readonly status: { readonly region_count?: number };
}

interface RegionView {
  readonly id: number;
  readonly peers: readonly { readonly store_id: number; readonly role_name: string }[];
}

const until = (ask: () => boolean | Promise<boolean>, what: string, timeoutMs = 90_000) =>
  waitFor(ask, { clock: systemClock, timeoutMs, everyMs: 100, what });

/** Every key has one writer, so that the last acknowledged value is what must be there. */
function load(client: RawClient, writers: number) {
  const acknowledged = new Map<string, string>();
  /** May have taken effect, or yet take it. */
  const maybe = new Map<string, Set<string>>();
  let stopped = false;
  const running = Array.from({ length: writers }, async (_, writer) => {
    for (let number = 0; !stopped; number++) {
      const [key, value] = [`${"adgjmpsvy"[writer % 9]}-${writer}-${number % 20}`, `${writer}/${number}`];
      const { outcome } = await client.put(key, value, signal);
      if (outcome === "ok") {
        acknowledged.set(key, value);
        maybe.delete(key);
      } else if (outcome === "unknown") maybe.set(key, (maybe.get(key) ?? new Set()).add(value));
    }
  });
  const stop = async () => {
    stopped = true;
    await Promise.all(running);
    return { acknowledged, maybe };
  };
  return { stop, acknowledged };
}

describe("four stores under our own PD", () => {
  it("replicas leave a store by joint consensus under load, and no acknowledged write is lost", async () => {
    await using pd = await startPdCluster({ members: 1, timeFactor: TIME_FACTOR, initialRegions: 6 });
    const [name] = pd.names;
    if (name === undefined) throw new Error("no PD");
    await pd.leader(signal);
    const endpoint = new URL(pd.urls[name] ?? "").host;
    await using processes = await tikvProcesses({ count: 4, pd: endpoint, timeFactor: TIME_FACTOR });
    for (const one of processes.all) one.start();
    const ask = async <T>(path: string) => JSON.parse((await pd.get(name, `/pd/api/v1${path}`)).body) as T;
    const regions = async () => (await ask<{ readonly regions: RegionView[] }>("/regions")).regions ?? [];
    const stores = async () => (await ask<{ readonly stores: StoreView[] }>("/stores")).stores ?? [];
    const complete = async () => {
      const all = await regions();
      const whole = ({ peers }: RegionView) =>
        peers.length === 3 && peers.every(({ role_name }) => role_name === "Voter");
      return all.length >= 6 && all.every(whole);
    };
    await until(async () => (await complete()) && (await stores()).length === 4, "every region to have three voters");

    using client = new RawClient({
      pdEndpoints: [endpoint],
      advertised: {},
      deadlineMs: 10_000,
      clock: systemClock,
      random: seededRandom("moves"),
    });
    const writers = load(client, 9);
    await until(() => writers.acknowledged.size > 100, "clients to be served");
    const [victim] = (await stores()).sort((a, b) => (b.status.region_count ?? 0) - (a.status.region_count ?? 0));
    if (victim === undefined) throw new Error("no store");
    expect((await pd.send(name, "DELETE", `/pd/api/v1/store/${victim.store.id}`)).status).toBe(200);
    await until(async () => (await stores()).every(({ store }) => store.id !== victim.store.id), "it to be drained");
    await until(complete, "every region to be whole again");

    const { acknowledged, maybe } = await writers.stop();
    for (const [key, value] of acknowledged) {
      const found = await client.get(key, signal);
      expect([value, ...(maybe.get(key) ?? [])]).toContain(found.value);
    }
    const log = processes.all.map((one) => one.log).join("");
    expect(log).toContain("[kind=EnterJoint]");
    expect(log).toContain("[kind=LeaveJoint]");
    expect(log).not.toContain("[FATAL]");
  }, 240_000);
});
