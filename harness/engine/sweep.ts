import { rmSync, statSync } from "node:fs";
import { errorText } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { EngineKind } from "../protocol.ts";
import { instanceIds, instancePaths, readInstance, type InstancePaths, type InstanceRecord } from "./instances.ts";
import { readHolder, takeLock, type LockHolder } from "./locks.ts";

export interface FoundInstance {
  readonly id: string;
  readonly paths: InstancePaths;
  /** Null when whoever made the folder died before it wrote one. */
  readonly record: InstanceRecord | null;
}

/** What a sweep needs to know of one kind of engine. */
export interface InstanceKeeper {
  isUp(found: FoundInstance, signal: AbortSignal): Promise<boolean>;
  /** Ends all that belongs to it, whatever state it is in. Must not touch anything else. */
  tearDown(found: FoundInstance, signal: AbortSignal, clock: Clock): Promise<void>;
}

export interface SweepOptions {
  readonly keepers: Partial<Readonly<Record<EngineKind, InstanceKeeper>>>;
  /** Undoes what the journal says was left behind. Only called for instances that stay. */
  heal(found: FoundInstance, signal: AbortSignal): Promise<void>;
  readonly holder: LockHolder;
  readonly clock: Clock;
}

export interface SweptInstance {
  readonly id: string;
  /**
   * `live`: somebody has its lock, not touched. `kept`: detached and up, healed. `removed`: torn down. `failed`: tried,
   * see `why`. `skipped`: nothing here can handle it (no Docker), or it is just being made.
   */
  readonly outcome: "live" | "kept" | "removed" | "failed" | "skipped";
  readonly why: string;
}

/** A folder without a record may be one that is being made right now. */
const RECORDLESS_GRACE_MS = 60_000;

/**
 * Cleans up after dead owners, holding each instance's lock while it does. Never throws for one bad instance, never
 * touches one whose lock is taken, and knows only the instances below this root.
 */
export async function sweepInstances(
  root: string,
  options: SweepOptions,
  signal: AbortSignal,
): Promise<readonly SweptInstance[]> {
  const swept: SweptInstance[] = [];
  for (const id of instanceIds(root)) {
    signal.throwIfAborted();
    swept.push({ id, ...(await sweepOne(id, instancePaths(root, id), options, signal)) });
  }
  return swept;
}

type Outcome = Omit<SweptInstance, "id">;

async function sweepOne(
  id: string,
  paths: InstancePaths,
  options: SweepOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    // Before the lock, which makes files of its own.
    const ageMs = options.clock.now() - statSync(paths.dir).mtimeMs;
    using lock = takeLock(paths.lock, options.holder);
    if (lock === null)
      return { outcome: "live", why: `in use by ${readHolder(paths.lock)?.what ?? "another process"}` };
    const record = readInstance(paths.dir);
    if (record === null && ageMs < RECORDLESS_GRACE_MS) return { outcome: "skipped", why: "it is just being made" };
    return await cleanUp({ id, paths, record }, options, signal);
  } catch (error) {
    signal.throwIfAborted();
    return { outcome: "failed", why: errorText(error) };
  }
}

async function cleanUp(found: FoundInstance, options: SweepOptions, signal: AbortSignal): Promise<Outcome> {
  const kind = found.record?.kind ?? "process";
  const keeper = options.keepers[kind];
  if (keeper === undefined) return { outcome: "skipped", why: `there is no ${kind} engine here` };
  if (found.record?.detached === true && (await keeper.isUp(found, signal))) {
    await options.heal(found, signal);
    return { outcome: "kept", why: "it was started to stay" };
  }
  if (found.record?.attached === true) await options.heal(found, signal);
  // Of somebody else's, this is what we put beside it and no more.
  await keeper.tearDown(found, signal, options.clock);
  rmSync(found.paths.dir, { recursive: true, force: true });
  return { outcome: "removed", why: "its owner is gone" };
}
