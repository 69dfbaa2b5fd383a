import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { waitFor } from "../../base/wait.ts";
import type { FoundInstance, InstanceKeeper } from "../sweep.ts";
import { isAlive, signalSame, type ProcessIdentity } from "./identity.ts";
import { CONFIG_FILE, PIDS_FILE } from "./paths.ts";
import { supervisorConfigSchema } from "./spec.ts";

const identity = z.object({ pid: z.number(), started: z.string() });
const pidsSchema = z.object({ supervisor: identity.nullable(), nodes: z.array(identity) });

const GONE_WITHIN_MS = 5_000;

/** Sweeps instances of the process engine, by pid and start time: a number that was given to a stranger is not hit. */
export const processKeeper: InstanceKeeper = {
  isUp: async ({ paths }) => {
    const { supervisor } = readPids(paths.dir);
    return supervisor !== null && isAlive(supervisor);
  },
  async tearDown(found, signal, clock) {
    const { supervisor, nodes } = readPids(found.paths.dir);
    const all = supervisor === null ? nodes : [supervisor, ...nodes];
    // The supervisor first: it would start nodes again.
    for (const each of all) signalSame(each, "SIGKILL");
    await waitFor(() => !all.some(isAlive), {
      clock,
      timeoutMs: GONE_WITHIN_MS,
      everyMs: 20,
      what: `the processes of instance ${found.id} to end`,
      signal,
    });
    removeSockets(found);
  },
};

function readPids(dir: string): { supervisor: ProcessIdentity | null; nodes: ProcessIdentity[] } {
  try {
    return pidsSchema.parse(JSON.parse(readFileSync(path.join(dir, PIDS_FILE), "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { supervisor: null, nodes: [] };
    throw error;
  }
}

/** Those outside of the instance's folder, which is removed as a whole. */
function removeSockets({ paths }: FoundInstance): void {
  try {
    const config = supervisorConfigSchema.parse(JSON.parse(readFileSync(path.join(paths.dir, CONFIG_FILE), "utf8")));
    if (config.socketDir !== paths.dir) rmSync(config.socketDir, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
