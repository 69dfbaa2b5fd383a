import { cp, lstat, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolder } from "../base/make-folder.ts";
import { z } from "zod";
import { errorText, StoreError } from "../base/errors.ts";
import { mountedFolder } from "../engine/mounted-folder.ts";
import type { InstanceId, Log } from "../protocol.ts";

/** In the instance's state folder, which no operator sees: where the tickets lie, and where they belong. */
const NOTE = "ticket-folder.json";
const note = z.strictObject({ path: z.string(), place: z.string() });

/**
 * A trial's ticket folder: outside of the run's folder while the operator works, with a link at `place`, and at `place`
 * itself once disposed. When the lab is killed the link stays until a sweep has moved the folder.
 *
 * @throws StoreError when it cannot be made.
 */
export async function openTicketFolder(
  place: string,
  { instance, stateDir }: { readonly instance: InstanceId; readonly stateDir: string },
  log: Log,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = mountedFolder(`tickets-${instance}`);
  try {
    await writeFile(join(stateDir, NOTE), JSON.stringify({ path, place }), { mode: 0o600 });
    makeFolder(path, 0o700);
    makeFolder(dirname(place));
    await symlink(path, place);
  } catch (cause) {
    throw new StoreError(`cannot make the trial's ticket folder ${path}: ${errorText(cause)}`, { cause });
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      try {
        await moveHome({ path, place });
      } catch (error) {
        log.warn("tickets-not-moved", { from: path, to: place, why: errorText(error) });
      }
    },
  };
}

/** Moves what a killed trial left behind to where it belongs. Nothing to do where there is no note. */
export async function settleTicketFolder(stateDir: string): Promise<void> {
  let text: string;
  try {
    text = await readFile(join(stateDir, NOTE), "utf8");
  } catch {
    return;
  }
  const { path, place } = note.parse(JSON.parse(text));
  if (await exists(path)) await moveHome({ path, place });
}

/** Where the tickets of the trial on this instance lie now; null = none runs on it. */
export async function ticketFolderOf(stateDir: string): Promise<string | null> {
  const text = await readFile(join(stateDir, NOTE), "utf8").catch(() => null);
  if (text === null) return null;
  const { path } = note.parse(JSON.parse(text));
  return (await exists(path)) ? path : null;
}

/** A run's folder that somebody has removed meanwhile is not made again. */
async function moveHome({ path, place }: z.output<typeof note>): Promise<void> {
  if (await exists(dirname(place))) {
    await cp(path, `${place}.part`, { recursive: true });
    if ((await lstat(place).catch(() => null))?.isSymbolicLink() === true) await rm(place);
    await rename(`${place}.part`, place);
  }
  await rm(path, { recursive: true });
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );
