import os from "node:os";
import path from "node:path";

/**
 * `${XDG_STATE_HOME:-~/.local/state}/<name>`, for what containers mount. Whoever looks at a container's mounts from
 * inside sees where they lie on this machine, so such a folder lies neither in the repository, nor in a run's folder,
 * which names the scenario, nor in our state folder.
 */
export function mountedFolder(name: string): string {
  const { XDG_STATE_HOME: given = "" } = process.env;
  return path.join(given === "" ? path.join(os.homedir(), ".local", "state") : given, name);
}
