import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { keepReplicated, ScriptedPd } from "../support/scripted-pd.ts";
import { StoreClient } from "../support/store-client.ts";
import { tikvProcesses, type TikvProcess } from "../support/tikv-processes.ts";

/** The disk is looked at every 60 s. */
const TIME_FACTOR = 0.02;
const MIB = 2 ** 20;
/** A twentieth of 1 GiB; see the embedded cluster's configuration. */
const RESERVE = Math.floor(1024 * MIB * 0.05);

const until = (ask: () => boolean | Promise<boolean>, what: string) =>
  waitFor(ask, { clock: systemClock, timeoutMs: 40_000, everyMs: 50, what });

/** Takes so much of the capacity that this much is left of it. Sparse: the real disk does not notice. */
function leave(store: TikvProcess, bytes: number): void {
  const file = join(store.dataDir, "filler");
  writeFileSync(file, "");
  // The placeholder and the log take some, too.
  truncateSync(file, Math.floor(1024 * MIB - RESERVE / 5 - MIB - bytes));
}

async function started(count: number, keys: readonly string[]) {
  const scope = new AsyncDisposableStack();
  const pd = scope.use(await new ScriptedPd().start());
  keepReplicated(pd, { stores: count, keys: [...keys] });
  const processes = scope.use(await tikvProcesses({ count, pd: pd.endpoint, timeFactor: TIME_FACTOR }));
  const client = scope.use(new StoreClient(pd));
  for (const one of processes.all) one.start();
  const replicated = () =>
    pd.regions.size === keys.length + 1 &&
    [...pd.regions.values()].every(
      ({ region, pending_peers }) =>
        region.peers.length === count && region.peers.every(({ role }) => role === 0) && pending_peers.length === 0,
    );
  await until(replicated, "every region to be replicated");
  const leads = (store: TikvProcess, key: string) =>
    pd.stores.get(Number(client.regionOf(key).leader.store_id))?.address === store.address;
  return { pd, client, all: processes.all, leads, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

describe("a store's disk", () => {
  it("at its reserve refuses writes but not deletions, its leaders go, and all is well when there is room again", async () => {
    await using cluster = await started(3, ["m"]);
    const { pd, client, all, leads } = cluster;
    await client.put("a", "1");
    await client.put("b", "1");
    const store = all.find((one) => leads(one, "a"));
    if (store === undefined) throw new Error("nobody leads");
    const { region, leader } = client.regionOf("a");
    const ask = (method: string, key: string) =>
      client.call(store.address, method, {
        context: client.context({ region, leader } as never),
        key: Buffer.from(key),
        value: Buffer.from("2"),
      });
    expect(readdirSync(store.dataDir)).toContain("space_placeholder_file");

    leave(store, RESERVE / 2 + MIB);
    await until(() => store.log.includes("disk usage Normal->AlmostFull"), "it to be almost full");
    expect((await ask("RawDelete", "b")).region_error).toBeNull();
    const refused = await ask("RawPut", "a");
    expect(refused.region_error).toMatchObject({
      disk_full: {
        store_id: [leader.store_id],
        reason: "propose failed: tikv disk full, cmd diskFullOpt=NotAllowedOnFull, leader diskUsage=AlmostFull",
      },
    });
    await client.put("a", "3");
    expect(leads(store, "a")).toBe(false);
    const elsewhere = client.regionOf("a");
    const back = elsewhere.region.peers.find(({ store_id }) => store_id === leader.store_id);
    pd.ask(Number(elsewhere.region.id), { transfer_leader: { peer: back, peers: [] } });
    await until(() => store.log.includes("reject transferring leader"), "it to refuse leadership");

    leave(store, RESERVE / 4);
    await until(() => store.log.includes("disk usage AlmostFull->AlreadyFull"), "it to be full");
    for (let number = 0; number < 5; number++) await client.put("a", `while full ${number}`);
    const { status } = await metricsOf(store);
    expect(status("err_disk_full")).toBeGreaterThan(0);

    rmSync(join(store.dataDir, "filler"));
    await until(() => store.log.includes("disk usage AlreadyFull->Normal"), "it to have room");
    await client.put("a", "4");
    expect(await client.get("a")).toBe("4");
    expect(await client.get("b")).toBeNull();
    expect(store.log).not.toMatch(/\[FATAL\]/);
  });

  it("without any room ends it with 1 and a word about it", async (context) => {
    await using cluster = await started(1, []);
    const [first] = cluster.all;
    if (first === undefined) throw new Error("no process");
    await first.kill();
    const folder = await mkdtemp(join(tmpdir(), "small-disk-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const disk = join(folder, "disk");
    mkdirSync(disk);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).status !== 0)
      return context.skip("mounting a small file system takes root");
    onTestFinished(() => void spawnSync("umount", ["-l", disk]));
    await using other = await new ScriptedPd("7000000000000000009").start();
    keepReplicated(other, { stores: 1, keys: [] });
    const config = join(folder, "small.toml");
    const files = "[rocksdb]\nmax-open-files = 8\n[raftdb]\nmax-open-files = 8\n";
    writeFileSync(config, `[storage]\nreserve-space = "0"\n${files}`);
    const small = first.with({ "data-dir": disk, config, pd: other.endpoint }).start();
    onTestFinished(() => small.kill());
    using client = new StoreClient(other);
    await until(() => other.regions.size === 1, "the store to have a region");
    const value = Buffer.alloc(200_000, "x");
    const fill = async () => {
      for (let number = 0; number < 40; number++) {
        const request = { context: client.context(client.regionOf("k")), key: Buffer.from(`k${number}`), value };
        await client.call(small.address, "RawPut", request, 5_000);
      }
    };
    const [code] = await Promise.all([small.exited(), fill().catch(() => {})]);
    expect(code).toBe(1);
    expect(small.log).toMatch(/\[FATAL\].*failed to write to raft engine: .*no space left on device/);
    // Started again it finds the same disk, and every pair that it has acknowledged.
    expect(await small.start().exited()).toBe(1);
  });
});

async function metricsOf(store: TikvProcess) {
  const text = await (await fetch(`http://${store.statusAddress}/metrics`)).text();
  const status = (name: string): number =>
    Number(new RegExp(`async_request_total\\{type="write",status="${name}"\\} (\\d+)`).exec(text)?.[1] ?? "0");
  return { status };
}
