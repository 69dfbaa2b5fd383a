import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { $ } from "zx";
import { has } from "./packages.ts";
import { say } from "./say.ts";

const START_TIMEOUT_MS = 60_000;

/**
 * Starts the Docker engine where none answers and we may (root, `dockerd` installed, no systemd to do it). It gets a
 * session of its own, so that it outlives us and no Ctrl-C reaches it.
 *
 * @returns whether an engine answers now.
 */
export async function ensureDockerDaemon(): Promise<boolean> {
  if (await answers()) return true;
  if (process.getuid?.() !== 0 || !(await has("dockerd")) || process.env["DOCKER_HOST"] !== undefined) return false;
  const log = openSync("/var/log/dockerd.log", "a");
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  spawn("dockerd", [], { detached: true, stdio: ["ignore", log, log], env }).unref();
  for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS; waitedMs += 250) {
    if (await answers()) {
      say("started dockerd (log: /var/log/dockerd.log)");
      return true;
    }
    await delay(250);
  }
  throw new Error("dockerd did not answer within 60 s; see /var/log/dockerd.log");
}

async function answers(): Promise<boolean> {
  return (await $({ nothrow: true, quiet: true })`docker version --format ${"{{.Server.Version}}"}`).exitCode === 0;
}
