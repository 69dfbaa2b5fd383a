import { copyFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, errorText } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";

/**
 * Copies the runbooks of these folders to `place/0`, `place/1` ..., for a container: it sees where what it mounts lies
 * on this machine, and a folder of somebody's may be called anything. `place` is made in any case, since compose would
 * make it as root; without folders what is in it stays.
 *
 * @throws ConfigError for a folder that cannot be read.
 */
export async function handRunbooks(folders: readonly string[] | undefined, place: string): Promise<void> {
  makeFolder(place, 0o700);
  if (folders === undefined) return;
  const all = await Promise.all(folders.map(async (folder) => ({ folder, files: await runbooksIn(folder) })));
  for (const name of await handedRunbooks(place)) await rm(join(place, name), { recursive: true });
  for (const [index, { folder, files }] of all.entries()) {
    makeFolder(join(place, String(index)), 0o700);
    for (const file of files) await copyFile(join(folder, file), join(place, String(index), file));
  }
}

/** The names of the folders that are there, in their order. */
export async function handedRunbooks(place: string): Promise<readonly string[]> {
  const names = await readdir(place).catch(() => []);
  return names.filter((name) => /^\d+$/.test(name)).toSorted((a, b) => Number(a) - Number(b));
}

async function runbooksIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name));
  } catch (cause) {
    throw new ConfigError(`cannot read the runbooks in ${folder}: ${errorText(cause)}`, { cause });
  }
}
