import { cp, lstat, mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { errorText, StoreError } from "../base/errors.ts";
import { mountedFolder } from "../engine/mounted-folder.ts";
import type { InstanceId, Log } from "../protocol.ts";

/**
 * A trial's ticket folder: outside of the run's folder while the operator works, with a link at `place`, and at `place`
 * itself once disposed. When the lab is killed the link stays, so nothing is lost.
 *
 * @throws StoreError when it cannot be made.
 */
export async function openTicketFolder(
  place: string,
  instance: InstanceId,
  log: Log,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = mountedFolder(`tickets-${instance}`);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await mkdir(dirname(place), { recursive: true });
    await symlink(path, place);
  } catch (cause) {
    throw new StoreError(`cannot make the trial's ticket folder ${path}: ${errorText(cause)}`, { cause });
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      try {
        await cp(path, `${place}.part`, { recursive: true });
        if ((await lstat(place)).isSymbolicLink()) await rm(place);
        await rename(`${place}.part`, place);
        await rm(path, { recursive: true });
      } catch (error) {
        log.warn("tickets-not-moved", { from: path, to: place, why: errorText(error) });
      }
    },
  };
}
