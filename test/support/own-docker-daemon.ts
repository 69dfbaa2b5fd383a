import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { execFile } from "node:child_process";
import Docker from "dockerode";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";

const exec = promisify(execFile);

/** A Docker engine of a test's own: nobody else's containers end with it. */
export interface OwnDaemon extends AsyncDisposable {
  readonly docker: Docker;
  /** `DOCKER_HOST` for its clients. */
  readonly host: string;
  /** As an administrator or an update does it: SIGTERM, its end, a new one. Resolves when the new one answers. */
  restart(between?: () => Promise<void>): Promise<void>;
}

/** Only root may start one. */
export const mayStartDaemon = process.getuid?.() === 0;

/** In its image store: a shell and `sleep`, with the libraries that they need. */
export const TINY_IMAGE = "tiny:1";

const PACK_TINY =
  "tar -ch /bin/sh /bin/sleep $(ldd /bin/sh /bin/sleep | grep -o '/[^ :]*\\.so[^ :]*' | sort -u) 2>/dev/null";

/**
 * Without networks (`network_mode: none`), so that the host's packet filter is left alone; and in a network namespace of
 * its own, since an engine that is told to have no bridge removes the `docker0` that it finds.
 */
export async function ownDaemon(): Promise<OwnDaemon> {
  const folder = await mkdtemp(join(tmpdir(), "dockerd-"));
  const socketPath = join(folder, "docker.sock");
  const host = `unix://${socketPath}`;
  const docker = new Docker({ socketPath });
  let daemon: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    const log = createWriteStream(join(folder, "log"), { flags: "a" });
    await once(log, "open");
    daemon = spawn(
      "unshare",
      [
        ...["--net", "dockerd"],
        ...["--host", host, "--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
        ...["--pidfile", join(folder, "pid"), "--bridge=none", "--iptables=false", "--ip-masq=false"],
        "--ip6tables=false",
      ],
      { stdio: ["ignore", log, log], detached: true },
    );
    const running = daemon;
    log.end();
    await waitFor(
      async () => {
        if (running.exitCode !== null) throw new Error(await readFile(join(folder, "log"), "utf8"));
        return await docker.ping().then(
          () => true,
          () => false,
        );
      },
      { clock: systemClock, timeoutMs: 60_000, everyMs: 100, what: "a Docker engine of our own" },
    );
  };
  const stop = async (): Promise<void> => {
    const running = daemon as ChildProcess | null;
    if (running === null || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGTERM");
    await ended;
  };
  const dispose = async (): Promise<void> => {
    for (const { Id } of await docker.listContainers({ all: true }).catch(() => []))
      await docker
        .getContainer(Id)
        .remove({ force: true })
        .catch(() => {});
    await stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    await start();
    const pack = `docker run --rm --network none debian:bookworm-slim sh -c "$0" | docker --host "$1" import - "$2"`;
    await exec("sh", ["-c", pack, PACK_TINY, host, TINY_IMAGE]);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    docker,
    host,
    async restart(between) {
      await stop();
      await between?.();
      await start();
    },
    [Symbol.asyncDispose]: dispose,
  };
}
