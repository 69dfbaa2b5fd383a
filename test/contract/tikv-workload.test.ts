import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import type { Operation } from "../../harness/protocol.ts";
import { connectWorkload } from "../../subjects/tikv/workload/connect.ts";
import { workloadEnvironment, type WorkloadSettings } from "../../subjects/tikv/workload/settings.ts";
import { ScriptedTikv } from "../support/scripted-tikv.ts";

const signal = new AbortController().signal;
const deps = { clock: systemClock, fetch: globalThis.fetch, log: silentLog };
const program = new URL("../../subjects/tikv/workload/main.ts", import.meta.url).pathname;

describe("workload program", () => {
  let cluster: ScriptedTikv;
  let child: ChildProcess;
  let port: number;

  const start = async (overrides: Partial<WorkloadSettings> = {}) => {
    const settings: WorkloadSettings = {
      pdEndpoints: cluster.pdEndpoints,
      advertised: cluster.advertised,
      listen: `127.0.0.1:${port}`,
      seed: 7,
      ratePerSecond: 200,
      clients: 4,
      keyPrefix: "k",
      deadlineMs: 500,
      ...overrides,
    };
    child = spawn(process.execPath, [program], {
      env: { ...process.env, ...workloadEnvironment(settings) },
      stdio: ["ignore", "inherit", "pipe"],
    });
    for await (const line of createInterface({ input: child.stderr! })) if (line.includes('"listening"')) return;
    throw new Error("the program ended");
  };

  beforeEach(async () => {
    cluster = await ScriptedTikv.start();
    port = await freePort();
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await cluster[Symbol.asyncDispose]();
  });

  test("whoever shares its network cannot read what its clients saw, nor stop them", async () => {
    const token = "0123456789abcdef0123456789abcdef";
    await start({ controlToken: token });
    const ask = async (method: string, path: string, authorization = "") =>
      (await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { authorization }, signal })).status;
    const calls = ["GET /time", "GET /window?ms=9", "GET /history", "POST /stop", "POST /readback", "POST /cleanup"];
    for (const call of calls) {
      const [method = "", path = ""] = call.split(" ");
      expect([call, await ask(method, path), await ask(method, path, `Bearer ${token}0`)]).toEqual([call, 404, 404]);
    }
    expect([await ask("GET", "/ready"), await ask("GET", "/metrics")]).toEqual([200, 200]);
    const workload = await connectWorkload({ url: `http://127.0.0.1:${port}`, token }, deps, signal);
    expect((await workload.window(1_000, signal)).windowMs).toBe(1_000);
    await workload.stop(signal);
    let count = 0;
    for await (const _ of workload.history(signal)) count++;
    expect(count).toBeGreaterThan(0);
  });

  test("streams every operation once, with times on the reader's clock, and reads all of it back", async () => {
    await start({ deadlineMs: 10_000 });
    const before = systemClock.monotonic();
    const workload = await connectWorkload({ url: `http://127.0.0.1:${port}` }, deps, signal);
    const operations: Operation[] = [];
    for await (const operation of workload.history(signal)) {
      operations.push(operation);
      if (operations.length === 50) cluster.regions[1]!.leader = "3";
      if (operations.length === 100) void workload.stop(signal);
    }
    const after = systemClock.monotonic();
    expect(operations.length).toBeGreaterThanOrEqual(100);
    expect(operations.every((operation) => operation.outcome === "ok")).toBe(true);
    expect(operations.at(-1)!.endedMs).toBeGreaterThan(before - 1_000);
    expect(operations.at(-1)!.endedMs).toBeLessThan(after + 100);
    const writes = operations.filter((operation) => operation.kind === "write");
    expect(new Set(writes.map((write) => write.key)).size).toBe(writes.length);
    expect(new Set(writes.map((write) => write.key.slice(0, 2))).size).toBeGreaterThan(8);
    const final = await workload.readBack({ timeoutMs: 5_000 }, signal);
    expect(final).toEqual(cluster.data);
    expect(writes.length).toBe(cluster.data.size);
    await workload[Symbol.asyncDispose]();
  });

  test("an outage is failed and unknown operations, at the same rate, in window and metrics", async () => {
    await start();
    const workload = await connectWorkload({ url: `http://127.0.0.1:${port}` }, deps, signal);
    const seen: Operation[] = [];
    for await (const operation of workload.history(signal)) {
      if (seen.push(operation) === 40) for (const store of ["1", "2", "3"]) await cluster.kill(`tikv${store}`);
      if (seen.filter(({ outcome }) => outcome !== "ok").length > 200) break;
    }
    expect(new Set(seen.map(({ outcome }) => outcome))).toEqual(new Set(["ok", "failed", "unknown"]));
    const window = await workload.window(300, signal);
    expect(window).toMatchObject({ okRatio: 0 });
    expect(window.operations).toBeGreaterThan(0);
    const metrics = await (await fetch(workload.metricsUrl)).text();
    expect(metrics).toMatch(/client_requests_total\{op="write",outcome="unknown"\} [1-9]/);
    expect(metrics).toMatch(/client_request_duration_seconds_bucket\{op="read",le="\+Inf"\} [1-9]/);
    expect(await workload.readBack({ timeoutMs: 300 }, signal)).toBeNull();
  });

  test("a reader that lost its connection goes on where it was", async () => {
    await start();
    let cut = 0;
    const flaky: typeof fetch = async (input, init) => {
      const reply = await fetch(input, init);
      if (!String(input).includes("/history") || cut >= 3) return reply;
      cut++;
      let chunks = 0;
      const broken = reply.body!.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            if (++chunks === 5) controller.error(new Error("connection reset"));
            else controller.enqueue(chunk.subarray(0, chunks === 4 ? chunk.length - 7 : chunk.length));
          },
        }),
      );
      return new Response(broken, { headers: reply.headers });
    };
    const workload = await connectWorkload({ url: `http://127.0.0.1:${port}` }, { ...deps, fetch: flaky }, signal);
    const operations: Operation[] = [];
    for await (const operation of workload.history(signal))
      if (operations.push(operation) === 150) void workload.stop(signal);
    expect(cut).toBe(3);
    const total = [...(await (await fetch(workload.metricsUrl)).text()).matchAll(/client_requests_total\{.*\} (\d+)/g)];
    expect(operations.length).toBe(total.reduce((sum, match) => sum + Number(match[1]), 0));
  });

  test("leaves nothing behind when asked to clean up", async () => {
    await start({ keyPrefix: "own-" });
    const workload = await connectWorkload({ url: `http://127.0.0.1:${port}`, cleanUp: true }, deps, signal);
    cluster.data.set("somebody-else", "stays");
    for await (const _ of workload.history(signal)) if (cluster.data.size > 20) break;
    await workload[Symbol.asyncDispose]();
    expect([...cluster.data.keys()]).toEqual(["somebody-else"]);
  });

  test("a restarted program is not taken for the one before", async () => {
    await start();
    const workload = await connectWorkload({ url: `http://127.0.0.1:${port}` }, deps, signal);
    const reading = (async () => {
      for await (const _ of workload.history(signal)) if (child.exitCode === null) child.kill("SIGKILL");
    })();
    reading.catch(() => {});
    await once(child, "exit");
    await start();
    await expect(reading).rejects.toThrow("restarted");
  });

  test("wrong settings and a taken port are said in one line", async () => {
    const wrong = spawn(process.execPath, [program, "--rate=fast"], {
      env: { ...process.env, PD_ENDPOINTS: "pd0:2379" },
    });
    child = wrong;
    const text = await collect(wrong);
    expect(text).toContain("RATE");
    expect(wrong.exitCode).toBe(2);
    await using taken = await ScriptedTikv.start();
    const second = spawn(process.execPath, [program, `--listen=${taken.advertised["tikv1:20160"]}`], {
      env: { ...process.env, PD_ENDPOINTS: "pd0:2379" },
    });
    expect(await collect(second)).toContain("EADDRINUSE");
    expect(second.exitCode).toBe(1);
  });
});

async function collect(process: ChildProcess): Promise<string> {
  let text = "";
  process.stderr!.on("data", (chunk) => (text += String(chunk)));
  await once(process, "close");
  return text;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
