import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isoTime } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { readHolder, takeLock } from "../engine/locks.ts";
import { mountedFolder } from "../engine/mounted-folder.ts";
import type { SubjectInstance } from "../protocol.ts";
import type { ControlGiven, TrialControl } from "../trial/control.ts";
import { processControl } from "../trial/process-control.ts";
import type { CliIo } from "./io.ts";

/**
 * A compose-agent and a panel beside the standing embedded cluster, for as long as an agent works in the foreground.
 * Their audit stays in `folder`; tokens are new each time.
 *
 * @throws HarnessError `already-running` when another agent has one there.
 */
export async function standingControl(
  instance: SubjectInstance,
  given: Omit<ControlGiven, "folder">,
  io: CliIo,
): Promise<TrialControl & { readonly folder: string }> {
  const folder = mountedFolder(`control-${instance.id}`);
  makeFolder(folder, 0o700);
  const path = join(folder, "start.lock");
  const lock = takeLock(path, { pid: process.pid, what: "lab agent start", since: isoTime(io.deps.clock.now()) });
  if (lock === null)
    throw new HarnessError(
      "already-running",
      `an agent in compose mode works on this cluster already (pid ${readHolder(path)?.pid ?? "unknown"})`,
    );
  try {
    const control = await processControl(io.deps)(instance, { ...given, folder }, io.signal);
    return {
      ...control,
      folder,
      async [Symbol.asyncDispose]() {
        try {
          await control.finish();
        } finally {
          // Also where the cluster was taken down meanwhile: what is held would keep this program alive.
          await control[Symbol.asyncDispose]();
          for (const part of ["tokens", "handed", "nodes"])
            await rm(join(folder, part), { recursive: true, force: true });
          lock.release();
        }
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
