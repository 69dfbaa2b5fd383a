import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";

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
