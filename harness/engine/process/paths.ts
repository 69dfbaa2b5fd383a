import { lstatSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { makeFolder } from "../../base/make-folder.ts";
import { EngineError } from "../../base/errors.ts";

/** Pids with start times of the supervisor and of every node. */
export const PIDS_FILE = "pids.json";
/** What `LINK_RULES` of the nodes names. */
export const LINKS_FILE = "links.json";
export const CONFIG_FILE = "supervisor.json";
export const SUPERVISOR_LOG = "supervisor.log";

/** The kernel's limit for a socket's path is 108 on Linux and 104 on macOS, with the final zero. */
const MAX_SOCKET_PATH_BYTES = 100;

/**
 * The state folder itself, or a private one under the system's temporary folder when its path is too long.
 *
 * @throws EngineError `engine-permission` when somebody else has made a folder of that name.
 */
export function socketFolder(stateDir: string, id: string): string {
  const longest = path.join(stateDir, "engine.sock");
  if (Buffer.byteLength(longest) <= MAX_SOCKET_PATH_BYTES) return stateDir;
  const folder = path.join(os.tmpdir(), `.${id}`);
  makeFolder(folder, 0o700);
  const { uid, mode } = lstatSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o170_077) !== 0o040_000)
    throw new EngineError("engine-permission", `${folder} is not a private folder of ours; remove it`);
  return folder;
}

export const engineSocket = (folder: string): string => path.join(folder, "engine.sock");
export const ownerSocket = (folder: string): string => path.join(folder, "owner.sock");
