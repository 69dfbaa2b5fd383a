import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { describeGo } from "../support/go.ts";
import { keepReplicated, ScriptedPd } from "../support/scripted-pd.ts";
import { StoreClient } from "../support/store-client.ts";
import { tikvProcesses, type TikvProcess } from "../support/tikv-processes.ts";

/** Heartbeats of the store every second. */
const TIME_FACTOR = 0.1;

const until = (ask: () => boolean | Promise<boolean>, what: string) =>
  waitFor(ask, { clock: systemClock, timeoutMs: 30_000, everyMs: 20, what });

describe("a store's status port", () => {
  const scope = new AsyncDisposableStack();
  let pd: ScriptedPd;
  let store: TikvProcess;
  let client: StoreClient;
  beforeAll(async () => {
    pd = scope.use(await new ScriptedPd().start());
    keepReplicated(pd, { stores: 1, keys: [] });
    const processes = scope.use(await tikvProcesses({ count: 1, pd: pd.endpoint, timeFactor: TIME_FACTOR }));
    client = scope.use(new StoreClient(pd));
    [store] = processes.all as [TikvProcess];
    store.start();
    await until(() => pd.regions.size === 1, "the store to lead its region");
    await client.put("a", "1");
    await until(async () => (await ask("GET", "/status").catch(() => null))?.status === 200, "the status port");
  });
  afterAll(() => scope.disposeAsync());

  const ask = async (method: string, path: string, body?: object | string) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const reply = await fetch(`http://${store.statusAddress}${path}`, {
      method,
      ...(body === undefined ? {} : { body: text }),
    });
    return { status: reply.status, type: reply.headers.get("content-type"), body: await reply.text() };
  };
  const item = async (section: string, name: string): Promise<unknown> => {
    const config = JSON.parse((await ask("GET", "/config?full=true")).body) as Record<string, Record<string, unknown>>;
    return config[section]?.[name];
  };

  it.each([
    ["GET", "/status", 200, ""],
    ["POST", "/status", 404, "path not found"],
    ["GET", "/config/reload", 404, "path not found"],
    ["GET", "/log-level", 404, "path not found"],
    ["GET", "/nothing", 404, "path not found"],
    ["GET", "/engine_type", 200, "raft-kv"],
    ["GET", "/resource_groups", 200, "[]"],
    ["GET", "/debug/pprof/heap_list", 410, ""],
    ["GET", "/debug/pprof/symbol", 200, "num_symbols: 0\n"],
    ["GET", "/region/999999", 404, "region(999999) not found"],
    ["GET", "/regions", 404, "path /regions not found"],
    ["GET", "/config?full=maybe", 400, "provided string was not `true` or `false`"],
  ])("%s %s: %d %j", async (method, path, status, body) =>
    expect(await ask(method, path)).toMatchObject({ status, body }),
  );

  it("shows a region as raftstore sees it", async () => {
    const [reported] = [...pd.regions.values()];
    const region = reported?.region;
    const { body } = await ask("GET", `/region/${region?.id}`);
    const peer = Number(region?.peers[0]?.id);
    expect(JSON.parse(body)).toMatchObject({
      raft_status: {
        id: peer,
        soft_state: { leader_id: peer, raft_state: "Leader" },
        voters: { [peer]: { state: "Replicate", recent_active: true } },
      },
      raft_apply: { truncated_state: { index: expect.any(Number) } },
      region_state: { id: Number(region?.id), start_key: [], peers: [{ id: peer, role: "Voter" }] },
    });
  });

  it("changes what may be changed, and says in TiKV's words why it does not", async () => {
    const change = { "raftstore.max-peer-down-duration": "1m" };
    expect(await ask("POST", "/config", change)).toMatchObject({ status: 200, body: "" });
    expect(await item("raftstore", "max-peer-down-duration")).toBe("1m");
    const file = join(store.dataDir, "..", "tikv.toml");
    expect(readFileSync(file, "utf8")).toContain('max-peer-down-duration = "1m"');
    await ask("POST", "/config?persist=false", { "raftstore.raft-entry-max-size": "1MB" });
    expect(readFileSync(file, "utf8")).not.toContain("raft-entry-max-size");
    expect(await item("raftstore", "raft-entry-max-size")).toBe("1MiB");
    const refused = async (body: object | string) => (await ask("POST", "/config", body)).body;
    expect(await refused({ "server.addr": "x:1" })).toBe('failed to update, error: "config addr can not be changed"');
    expect(await refused({ "log.level": ["a"] })).toBe('failed to decode, error: "array type are not supported"');
    expect(await refused("[]")).toBe('failed to decode, error: "wrong format"');
    expect((await ask("POST", "/config", "{")).status).toBe(500);
  });

  it("changes how much it logs", async () => {
    expect(await ask("PUT", "/log-level", { log_level: "loud" })).toMatchObject({ status: 400 });
    expect(await ask("PUT", "/log-level", { log_level: "error" })).toMatchObject({ status: 200, body: "" });
    await ask("PUT", "/pause_grpc");
    await ask("PUT", "/resume_grpc");
    expect(store.log).not.toContain("paused the grpc server");
    await ask("PUT", "/log-level", { log_level: "info" });
  });

  it("takes the gRPC service away and gives it back; the store goes on talking to PD", async () => {
    expect(await ask("PUT", "/pause_grpc")).toMatchObject({ status: 200, body: "Successfully pause grpc service" });
    const at = client.regionOf("a");
    const get = () => client.call(store.address, "RawGet", { context: client.context(at), key: Buffer.from("a") }, 500);
    await expect(get()).rejects.toThrow();
    expect((await ask("GET", "/status")).status).toBe(200);
    await until(() => pd.heartbeats.at(-1)?.["is_grpc_paused"] === true, "PD to hear of it");
    expect(await ask("PUT", "/resume_grpc")).toMatchObject({ status: 200, body: "Successfully resume grpc service" });
    expect(await client.get("a")).toBe("1");
    await until(() => pd.heartbeats.at(-1)?.["is_grpc_paused"] === false, "PD to hear that it is over");
    expect(store.log).toContain("paused the grpc server");
  });

  it("gives metrics under TiKV's names, compressed for who asks for that", async () => {
    const zipped = await new Promise<Buffer>((resolve, reject) => {
      request(`http://${store.statusAddress}/metrics`, { headers: { "accept-encoding": "gzip" } }, (reply) => {
        const parts: Buffer[] = [];
        reply.on("data", (part: Buffer) => parts.push(part));
        reply.on("end", () => resolve(Buffer.concat(parts)));
      })
        .on("error", reject)
        .end();
    });
    const text = gunzipSync(zipped).toString();
    const value = (series: string): number => {
      const line = text.split("\n").find((one) => one.startsWith(`${series} `));
      return line === undefined ? Number.NaN : Number(line.split(" ").at(-1));
    };
    for (const name of ["append_log_duration_seconds", "commit_log_duration_seconds", "apply_log_duration_seconds"])
      expect(value(`tikv_raftstore_${name}_count`), name).toBeGreaterThan(0);
    expect(text).toContain('tikv_raftstore_append_log_duration_seconds_bucket{le="0.00001"}');
    expect(text).toContain('tikv_grpc_msg_duration_seconds_bucket{type="raw_put",priority="normal",le="0.00005"}');
    expect(value('tikv_storage_engine_async_request_total{type="write",status="success"}')).toBeGreaterThan(0);
    expect(value('tikv_raftstore_raft_process_duration_secs_count{type="ready"}')).toBeGreaterThan(0);
    expect(value('tikv_store_size_bytes{type="capacity"}')).toBe(2 ** 30);
    expect(value('tikv_store_size_bytes{type="available"}')).toBeLessThan(2 ** 30);
    expect(value('tikv_raftstore_slow_score{type="raft"}')).toBeGreaterThanOrEqual(1);
    expect(value('tikv_grpc_msg_fail_total{type="raw_put"}')).toBe(0);
    expect(value("tikv_server_cpu_cores_quota")).toBeGreaterThan(0);
    if (process.platform === "linux")
      expect(text).toMatch(/tikv_thread_cpu_seconds_total\{name="tikv_server",tid="\d+"\}/);
  });

  it("draws where the time goes, and names no path of ours", async () => {
    const [drawn, second] = await Promise.all([
      ask("GET", "/debug/pprof/profile?seconds=1"),
      ask("GET", "/debug/pprof/profile?seconds=1"),
    ]);
    const [profile, refused] = drawn.status === 200 ? [drawn, second] : [second, drawn];
    expect(profile).toMatchObject({ status: 200, type: "image/svg+xml" });
    expect(refused).toMatchObject({ status: 500, body: "Already in CPU Profiling" });
    const { body: command } = await ask("GET", "/debug/pprof/cmdline");
    expect(command.split("\0")[0]).toBe("tikv-server");
    for (const text of [profile.body, command]) expect(text).not.toContain("stand-in");
  });

  describeGo("its profile", () =>
    it("is read by go tool pprof", async () => {
      const reply = await fetch(`http://${store.statusAddress}/debug/pprof/profile?seconds=1&frequency=500`, {
        headers: { "content-type": "application/protobuf" },
      });
      expect(reply.headers.get("content-type")).toBe("application/octet-stream");
      const file = join(store.dataDir, "..", "cpu.pprof");
      writeFileSync(file, Buffer.from(await reply.arrayBuffer()));
      const { stdout, status } = spawnSync("go", ["tool", "pprof", "-top", file], { encoding: "utf8" });
      expect({ stdout, status }).toMatchObject({ stdout: expect.stringContaining("Type: cpu"), status: 0 });
    }),
  );
});
