import { cp, lstat, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolder } from "../base/make-folder.ts";
import { z } from "zod";
import { errorText, StoreError } from "../base/errors.ts";
import { mountedFolder } from "../engine/mounted-folder.ts";
import type { InstanceId, Log } from "../protocol.ts";

/** What of a trial lies outside of its run's folder while it runs, since its operator or a container sees the path. */
export const OUTSIDE = {
  // No secret, but sockets, which cannot be copied.
  tickets: { note: "ticket-folder.json", what: "ticket folder", secrets: ["doors"] },
  control: {
    note: "control-folder.json",
    what: "control folder",
    secrets: ["tokens", "handed", "control.sock", "nodes"],
  },
} as const satisfies Readonly<
  Record<string, { readonly note: string; readonly what: string; readonly secrets: readonly string[] }>
>;
export type Outside = keyof typeof OUTSIDE;

/** In the instance's state folder, which no operator sees: where it lies, and where it belongs. */
const note = z.strictObject({ path: z.string(), place: z.string() });

/**
 * A folder of a trial: outside of the run's folder while the operator works, with a link at `place`, and at `place`
 * itself once disposed, without its secrets. When the lab is killed the link stays until a sweep has moved the folder.
 *
 * @throws StoreError when it cannot be made.
 */
export async function openOutsideFolder(
  kind: Outside,
  place: string,
  { instance, stateDir }: { readonly instance: InstanceId; readonly stateDir: string },
  log: Log,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = mountedFolder(`${kind}-${instance}`);
  try {
    await writeFile(join(stateDir, OUTSIDE[kind].note), JSON.stringify({ path, place }), { mode: 0o600 });
    makeFolder(path, 0o700);
    makeFolder(dirname(place));
    await symlink(path, place);
  } catch (cause) {
    throw new StoreError(`cannot make the trial's ${OUTSIDE[kind].what} ${path}: ${errorText(cause)}`, { cause });
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      try {
        await moveHome(kind, { path, place });
      } catch (error) {
        log.warn(`${kind}-not-moved`, { from: path, to: place, why: errorText(error) });
      }
    },
  };
}

/** Moves what a killed trial left behind to where it belongs. Nothing to do where there is no note. */
export async function settleOutsideFolders(stateDir: string): Promise<void> {
  for (const kind of Object.keys(OUTSIDE) as Outside[]) {
    const noted = await readNote(kind, stateDir);
    if (noted !== null && (await exists(noted.path))) await moveHome(kind, noted);
  }
}

/** Where this folder of the trial on an instance lies now; null = none runs on it. */
export async function outsideFolderOf(kind: Outside, stateDir: string): Promise<string | null> {
  const noted = await readNote(kind, stateDir);
  return noted !== null && (await exists(noted.path)) ? noted.path : null;
}

async function readNote(kind: Outside, stateDir: string): Promise<z.output<typeof note> | null> {
  const text = await readFile(join(stateDir, OUTSIDE[kind].note), "utf8").catch(() => null);
  return text === null ? null : note.parse(JSON.parse(text));
}

/** A run's folder that somebody has removed meanwhile is not made again. */
async function moveHome(kind: Outside, { path, place }: z.output<typeof note>): Promise<void> {
  for (const secret of OUTSIDE[kind].secrets) await rm(join(path, secret), { recursive: true, force: true });
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
