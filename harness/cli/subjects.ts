import { resolve } from "node:path";
import { healPending } from "../faults/injection.ts";
import { InjectionJournal } from "../faults/journal.ts";
import { claimInstance, stateRoot, type OwnedInstance } from "../engine/instances.ts";
import type { LockHolder } from "../engine/locks.ts";
import { sweepInstances, type InstanceKeeper, type SweptInstance } from "../engine/sweep.ts";
import { isoTime } from "../base/clock.ts";
import type { EngineKind, InstanceId, OwnerEngine } from "../protocol.ts";
import { settleOutsideFolders } from "../trial/outside-folder.ts";
import type { CliIo } from "./io.ts";

/** Where stored runs without an operator lie: part of the package. */
export const BASELINE_DIR = resolve(import.meta.dirname, "../../scenarios/baselines");

export function holderOf(io: CliIo, what: string): LockHolder {
  return { pid: process.pid, what, since: isoTime(io.deps.clock.now()) };
}

/** A fresh instance that this process owns. Dispose it after the subject that runs in it. */
export function newInstance(io: CliIo, what: string): OwnedInstance & { readonly id: InstanceId } {
  const id = io.deps.ids.hex(4) as InstanceId;
  return { ...claimInstance(stateRoot(io.env), id, holderOf(io, what)), id };
}

/**
 * Cleans up what dead owners left behind: faults from their journals, processes, containers. Never touches an instance
 * whose lock is taken.
 */
export async function sweep(io: CliIo, what: string): Promise<readonly SweptInstance[]> {
  const { openEmbeddedOwner } = await import("../../subjects/tikv/adapter-process.ts");
  const docker = await import("../../subjects/tikv/adapter-docker.ts");
  const keepers = await instanceKeepers(io);
  return sweepInstances(
    stateRoot(io.env),
    {
      keepers,
      clock: io.deps.clock,
      holder: holderOf(io, what),
      async heal({ record, paths }, signal) {
        if (record === null) return;
        await using engine: OwnerEngine =
          record.kind === "process"
            ? await openEmbeddedOwner(record, signal)
            : await docker.openDockerOwner(record, io.deps, signal);
        await healPending(new InjectionJournal(paths.journal, io.deps), engine, io.deps, signal);
      },
    },
    io.signal,
  );
}

/** Who knows whether an instance is up and how to end it; Docker's only where its engine answers. */
export async function instanceKeepers(io: CliIo): Promise<Partial<Record<EngineKind, InstanceKeeper>>> {
  const { embeddedKeeper } = await import("../../subjects/tikv/adapter-process.ts");
  const { dockerKeeper } = await import("../../subjects/tikv/adapter-docker.ts");
  const docker = await dockerKeeper(io.deps, io.signal);
  return { process: settling(embeddedKeeper), ...(docker === null ? {} : { docker: settling(docker) }) };
}

/** A trial that was killed leaves its tickets where its operator saw them; they belong into its run's folder. */
function settling(keeper: InstanceKeeper): InstanceKeeper {
  return {
    isUp: (found, signal) => keeper.isUp(found, signal),
    async tearDown(found, signal, clock) {
      await keeper.tearDown(found, signal, clock);
      await settleOutsideFolders(found.paths.dir);
    },
  };
}
