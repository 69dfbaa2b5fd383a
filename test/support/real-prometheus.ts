import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { describe, type SuiteFactory } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";

const missing = ["prometheus", "promtool"].find((program) => spawnSync(program, ["--version"]).error !== undefined);

/** `describe` for what needs a real Prometheus. Without one skipped, saying why; under CI it fails instead. */
export function describePrometheus(name: string, body: SuiteFactory): void {
  if (missing === undefined) return void describe(name, body);
  if ((process.env["CI"] ?? "") !== "") throw new Error(`${name}: there is no ${missing} (and CI is set)`);
  describe.skip(`${name} [not run here: there is no ${missing}]`, body);
}

/** What `promtool` said, both streams, and how it ended. */
export function promtool(...args: readonly string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  return { status, said: `${stdout}${stderr}` };
}

export interface RunningPrometheus extends AsyncDisposable {
  readonly url: string;
}

/** Starts a real one in `folder`, which holds its `prometheus.yml`; ready when this resolves. */
export async function startPrometheus(folder: string): Promise<RunningPrometheus> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const flags = [
    "--config.file=prometheus.yml",
    "--storage.tsdb.path=data",
    `--web.listen-address=${new URL(url).host}`,
  ];
  const child = spawn("prometheus", flags, { cwd: folder, stdio: "ignore" });
  const stopped = once(child, "exit");
  const ready = () =>
    fetch(`${url}/-/ready`).then(
      (reply) => reply.ok,
      () => false,
    );
  await waitFor(ready, { clock: systemClock, timeoutMs: 30_000, everyMs: 100, what: "Prometheus" });
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await stopped;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
