import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder and what is missing above it; one that is there is left as it is. In place of `mkdir` with
 * `recursive`, which never returns where a file system answers ENOENT for a child of a folder that exists (/proc;
 * seen with Node 24.21: libuv's loop goes up, finds the parent and tries again for ever).
 * @param mode of each folder that is made, before the umask; 0o777 unless told.
 * @throws the file system's error (ENOENT, EACCES, ENOTDIR, EROFS ...).
 */
export function makeFolder(path: string, mode = 0o777): void {
  if (isFolder(path)) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Somebody else was faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (!isFolder(path)) throw Object.assign(error as Error, { code: "ENOTDIR" });
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
