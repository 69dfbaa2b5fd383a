import { readFileSync, readdirSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { makeFolder } from "../base/make-folder.ts";
import { z } from "zod";
import { errorText, HarnessError, StoreError } from "../base/errors.ts";
import { readHolder, takeLock, type LockHolder, type OwnerLock } from "./locks.ts";

/** What is written about an instance in `<state root>/instances/<id>/instance.json`, for later commands and for sweeps. */
export const instanceRecordSchema = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  kind: z.enum(["process", "docker"]),
  subject: z.string(),
  project: z.string(),
  network: z.string(),
  createdAt: z.string(),
  /** Kept when its owner ends (`lab subject up`). */
  detached: z.boolean(),
  /** Being taken down by hand (`lab subject down`): nothing that is seen of it from now on is news. */
  leaving: z.boolean().optional(),
  /** Somebody else's: healed where we broke it, never torn down. */
  attached: z.boolean().optional(),
  timeFactor: z.number(),
  /** Only of `process`: where the supervisor listens. */
  sockets: z.strictObject({ engine: z.string(), owner: z.string() }).nullable(),
  components: z.array(z.strictObject({ component: z.string(), role: z.string() })),
  /** What the subject's adapter needs to open it again. */
  subjectData: z.record(z.string(), z.unknown()),
});

export type InstanceRecord = z.output<typeof instanceRecordSchema>;

export interface InstancePaths {
  /** `DeployOptions.stateDir`. */
  readonly dir: string;
  readonly record: string;
  readonly lock: string;
  readonly journal: string;
}

/** An instance that this process owns: nobody else deploys, harms, heals or sweeps it meanwhile. */
export interface OwnedInstance extends Disposable {
  readonly id: string;
  readonly paths: InstancePaths;
  /** Gives up the ownership and keeps the folder: the instance has been detached. */
  leave(): void;
}

const MIB = 1024 ** 2;
/** Data and logs of one embedded cluster over a long trial, with room to spare. */
const NEEDED_BYTES = 128 * MIB;

/** `AGENT_LAB_HOME`, else `agent-lab` in the user's state folder (XDG). */
export function stateRoot(env: Readonly<Record<string, string | undefined>>): string {
  const set = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const state = set("XDG_STATE_HOME") ?? path.join(set("HOME") ?? os.userInfo().homedir, ".local", "state");
  return path.resolve(set("AGENT_LAB_HOME") ?? path.join(state, "agent-lab"));
}

export function instancePaths(root: string, id: string): InstancePaths {
  return pathsIn(path.join(root, "instances", id));
}

/** Node's compile cache for the programs of all instances of the root that `stateDir` is in. Safe to delete. */
export function compileCacheFor(stateDir: string): string {
  return path.resolve(stateDir, "../../cache/compiled");
}

/**
 * Makes the instance's folder (0700) when it is not there and takes its lock. Disposing removes the folder: tear the
 * instance down first, or `leave()` it.
 *
 * @throws HarnessError `already-running` naming who has it; `store-failed` when the folder cannot be made.
 */
export function claimInstance(root: string, id: string, holder: LockHolder): OwnedInstance {
  const paths = instancePaths(root, id);
  const lock = lockIn(paths, holder);
  if (lock === null) throw inUse(id, readHolder(paths.lock));
  const room = roomIn(paths.dir);
  if (room < NEEDED_BYTES && readInstance(paths.dir) === null) {
    rmSync(paths.dir, { recursive: true, force: true });
    lock.release();
    throw new StoreError(
      `only ${Math.floor(room / MIB)} MiB are free below ${root}, an instance needs ${NEEDED_BYTES / MIB}: ` +
        "free some room, or set AGENT_LAB_HOME to a folder elsewhere",
    );
  }
  let left = false;
  return {
    id,
    paths,
    leave() {
      left = true;
      lock.release();
    },
    [Symbol.dispose]() {
      if (left) return;
      rmSync(paths.dir, { recursive: true, force: true });
      lock.release();
    },
  };
}

/** Held while an instance that is to stay is being started; null when somebody else holds it. @throws StoreError */
export function takeStandingLock(root: string, holder: LockHolder): OwnerLock | null {
  try {
    makeFolder(root, 0o700);
    return takeLock(path.join(root, "standing.lock"), holder);
  } catch (error) {
    throw unusable(root, error);
  }
}

/** @throws StoreError when there is a record that cannot be read as one. */
export function readInstance(dir: string): InstanceRecord | null {
  const { record } = pathsIn(dir);
  try {
    return instanceRecordSchema.parse(JSON.parse(readFileSync(record, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new StoreError(`${record} is not an instance's record: ${why}`, { cause: error });
  }
}

/** Whole or not at all, also when we are killed in between. */
export function writeInstance(dir: string, record: InstanceRecord): void {
  const file = pathsIn(dir).record;
  writeFileSync(`${file}.next`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.next`, file);
}

/** Ids of all instance folders, whatever is in them. */
export function instanceIds(root: string): string[] {
  try {
    return readdirSync(path.join(root, "instances"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw unusable(root, error);
  }
}

function pathsIn(dir: string): InstancePaths {
  return {
    dir,
    record: path.join(dir, "instance.json"),
    lock: path.join(dir, "owner.lock"),
    journal: path.join(dir, "injections.jsonl"),
  };
}

function lockIn(paths: InstancePaths, holder: LockHolder): OwnerLock | null {
  try {
    makeFolder(paths.dir, 0o700);
    return takeLock(paths.lock, holder);
  } catch (error) {
    throw unusable(paths.dir, error);
  }
}

function roomIn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function inUse(id: string, holder: LockHolder | null): HarnessError {
  const by = holder === null ? "another process" : `"${holder.what}" (pid ${holder.pid}, since ${holder.since})`;
  return new HarnessError("already-running", `instance ${id} is in use by ${by}; wait for it or end it`, {
    details: { id, holder },
  });
}

function unusable(folder: string, error: unknown): StoreError {
  const code = (error as NodeJS.ErrnoException).code ?? errorText(error);
  const full = /ENOSPC|EDQUOT|SQLITE_FULL/.test(code);
  const advice = full
    ? "its disk is full: free some room"
    : "it must be a folder that you can write to: check its owner";
  return new StoreError(`cannot use ${folder} (${code}): ${advice}, or set AGENT_LAB_HOME to another folder`, {
    cause: error,
  });
}
