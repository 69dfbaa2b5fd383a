import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { buildGo, describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { tikvProcesses } from "../support/tikv-processes.ts";

interface Heartbeat {
  readonly region: {
    readonly id: string;
    readonly region_epoch: { readonly conf_ver: string; readonly version: string };
    readonly peers: readonly { readonly id: string; readonly store_id: string; readonly role: number }[];
  };
  readonly leader: { readonly store_id: string };
}

interface Said {
  readonly method: string;
  readonly request: Record<string, unknown>;
  readonly unknown: readonly string[];
}

const until = (ask: () => boolean, what: string) =>
  waitFor(ask, { clock: systemClock, timeoutMs: 60_000, everyMs: 50, what });

describeGo("what a store says, read with kvproto's own types by grpc-go's own server", () => {
  let folder = "";
  let program = "";

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pd-wire-"));
    program = await buildGo("tikv-pd-wire", folder);
  }, GO_BUILD_TIMEOUT_MS);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("has no field that they do not know, in heartbeats, splits and joint consensus", async () => {
    const pd = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
    await using scope = new AsyncDisposableStack();
    scope.defer(() => void pd.stdin.end());
    const said: Said[] = [];
    createInterface({ input: pd.stdout }).on("line", (line) => said.push(JSON.parse(line) as Said));
    await until(() => said.length > 0, "it to listen");
    const address = String(said[0]?.request["address"]);
    const processes = scope.use(await tikvProcesses({ count: 2, pd: address, timeFactor: 0.1 }));
    for (const one of processes.all) one.start();

    const all = (method: string) => said.filter((one) => one.method === method);
    const regions = () =>
      new Map(
        all("RegionHeartbeat").map(({ request }) => [
          (request as never as Heartbeat).region.id,
          request as never as Heartbeat,
        ]),
      );
    const order = (heartbeat: Heartbeat, reply: object) => {
      const { region, leader } = heartbeat;
      const whole = { region_id: region.id, region_epoch: region.region_epoch, target_peer: leader, ...reply };
      pd.stdin.write(`${JSON.stringify({ store: leader.store_id, reply: whole })}\n`);
    };
    await until(() => all("StoreHeartbeat").length >= 2 && regions().size === 1, "both stores to be heard");
    const first = [...regions().values()][0] as Heartbeat;
    order(first, { split_region: { policy: 2, keys: [Buffer.from("m").toString("base64")] } });
    await until(() => regions().size === 2 && all("ReportBatchSplit").length === 1, "the split");

    const now = regions().get(first.region.id) as Heartbeat;
    const other = all("PutStore").map(({ request }) => (request["store"] as { id: string }).id);
    const free = other.find((id) => id !== now.leader.store_id);
    const added = { id: "900", store_id: free, role: 1 };
    order(now, { change_peer_v2: { changes: [{ peer: added, change_type: 2 }] } });
    const peers = () => regions().get(first.region.id)?.region.peers ?? [];
    await until(() => peers().some(({ id, role }) => id === "900" && role === 1), "a learner");
    const stopped = processes.all.find(({ log }) => log.includes("bootstrap cluster ok"));
    stopped?.signal("SIGTERM");
    expect(await stopped?.exited()).toBe(0);

    expect(said.flatMap(({ unknown }) => unknown)).toEqual([]);
    const [store] = all("PutStore").map(({ request }) => request["store"] as Record<string, unknown>);
    expect(store).toMatchObject({ version: expect.stringMatching(/^8\.5\.\d+$/), state: 0 });
    const stats = all("StoreHeartbeat").map(({ request }) => request["stats"] as Record<string, unknown>);
    expect(stats[0]).toMatchObject({ slow_score: "1", is_stopping: false, is_grpc_paused: false });
    expect(Number(stats[0]?.["capacity"])).toBeGreaterThan(0);
    expect(Number(stats[0]?.["start_time"])).toBeGreaterThan(1.7e9);
    expect(stats.some(({ is_stopping }) => is_stopping === true)).toBe(true);
    const headers = said.slice(1).filter(({ method }) => method !== "GetMembers");
    expect(new Set(headers.map(({ request }) => (request["header"] as { cluster_id: string }).cluster_id))).toEqual(
      new Set(["7000000000000000001"]),
    );
  }, 120_000);
});
