import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { waitFor } from "../../harness/base/wait.ts";

const program = new URL("../../subjects/common/prometheus/main.ts", import.meta.url).pathname;

interface Reply {
  readonly data: { result: { metric: Record<string, string>; value: [number, string] }[] };
}

describe("embedded Prometheus", () => {
  let folder: string;
  let target: Server;
  let body: () => string | null;
  let child: ChildProcess | null;
  let url: string;

  const listen = async (server: Server): Promise<number> => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as { port: number }).port;
  };
  const run = (flags: readonly string[]) => {
    child = spawn(process.execPath, [program, ...flags], { cwd: folder, stdio: ["ignore", "inherit", "pipe"] });
    return child;
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "prometheus-"));
    child = null;
    body = () => "";
    target = createServer((_, reply) => {
      const text = body();
      if (text !== null) reply.end(text);
    });
  });
  afterEach(async () => {
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    target.closeAllConnections();
    target.close();
    rmSync(folder, { recursive: true });
  });

  const start = async () => {
    const [targetPort, probe] = [await listen(target), createServer()];
    const port = await listen(probe);
    probe.close();
    await once(probe, "close");
    url = `http://127.0.0.1:${port}`;
    writeFileSync(
      join(folder, "prometheus.yml"),
      `global: { scrape_interval: 1s, scrape_timeout: 500ms }
scrape_configs:
  - job_name: pd
    static_configs: [{ targets: ["127.0.0.1:${targetPort}"], labels: { instance: "pd0:2379" } }]
`,
    );
    run(["--config.file=prometheus.yml", `--web.listen-address=127.0.0.1:${port}`, "--storage.tsdb.path=data"]);
    for await (const line of createInterface({ input: child!.stderr! })) if (line.includes("ready to receive")) return;
    throw new Error("it ended");
  };
  const query = async (text: string) => {
    const reply = await fetch(`${url}/api/v1/query`, { method: "POST", body: new URLSearchParams({ query: text }) });
    return ((await reply.json()) as Reply).data.result;
  };
  const targets = async () => {
    const reply = await fetch(`${url}/api/v1/targets`);
    return ((await reply.json()) as { data: { activeTargets: Record<string, unknown>[] } }).data.activeTargets;
  };
  const patience = { clock: systemClock, timeoutMs: 20_000, everyMs: 50, what: "the refusal to be shown" };
  const until = (text: string, holds: (result: Reply["data"]["result"]) => boolean) =>
    waitFor(async () => holds(await query(text)), { ...patience, what: text });

  test("scrapes, rates, notices a target that hangs, and forgets its series", async () => {
    let total = 0;
    body = () => `requests_total{op="x"} ${(total += 10)}\n`;
    await start();
    expect(await (await fetch(`${url}/-/ready`)).text()).toContain("Ready");
    await until("rate(requests_total[1m])", ([sample]) => Number(sample?.value[1]) > 0);
    expect((await query("requests_total"))[0]?.metric).toEqual({
      __name__: "requests_total",
      instance: "pd0:2379",
      job: "pd",
      op: "x",
    });
    body = () => null;
    await until("up == 0", (result) => result.length === 1);
    expect(await query("requests_total")).toEqual([]);
    expect(await query("absent(requests_total)")).toHaveLength(1);
    expect((await targets())[0]).toMatchObject({ health: "down", labels: { job: "pd", instance: "pd0:2379" } });
    body = () => `requests_total{op="x"} 5\n`;
    await until("up == 1", (result) => result.length === 1);
    await until("resets(requests_total[5m])", ([sample]) => sample?.value[1] === "1");
    target.closeAllConnections();
    target.close();
    await until("up == 0", (result) => result.length === 1);
    await waitFor(async () => String((await targets())[0]?.["lastError"]).includes("connection refused"), patience);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/prometheus_tsdb_head_series [1-9]/);
  });

  test("the client of the kit understands it", async () => {
    body = () => "requests_total 1\n";
    await start();
    const client = prometheusClient({ url }, { clock: systemClock, fetch });
    const signal = new AbortController().signal;
    await until("requests_total", (result) => result.length === 1);
    expect((await client.targets(signal)).map(({ health }) => health)).toEqual(["up"]);
    expect(await client.instant("sum by (job) (up)", signal)).toMatchObject({ type: "vector" });
    const end = systemClock.now() / 1_000;
    expect(await client.range("up", { start: end - 5, end, step: "1s" }, signal)).toMatchObject({ type: "matrix" });
    expect(await client.instant("1+1", signal)).toMatchObject({ type: "scalar", point: [expect.any(Number), 2] });
    expect(await client.labels({ name: "job", match: ["up"] }, signal)).toEqual(["pd"]);
    expect((await client.series(['up{job="pd"}'], signal)).map((labels) => labels["instance"])).toEqual(["pd0:2379"]);
    expect(await client.alerts(signal)).toEqual([]);
    await expect(client.instant("sum(", signal)).rejects.toThrow(/parse error/);
  });

  test.each([
    ["a key that it does not understand", "alerting: {}\n", [], "alerting"],
    ["a file that is not there", null, [], "prometheus.yml"],
    ["a flag that it does not know", "", ["--enable-feature=x"], "--enable-feature"],
  ])("refuses %s by name and ends with 2", async (_, config, flags, message) => {
    if (config !== null) writeFileSync(join(folder, "prometheus.yml"), config);
    const ended = run(["--config.file=prometheus.yml", ...flags]);
    let text = "";
    ended.stderr!.on("data", (chunk) => (text += String(chunk)));
    await once(ended, "close");
    expect(text).toContain(message);
    expect(ended.exitCode).toBe(2);
  });
});
