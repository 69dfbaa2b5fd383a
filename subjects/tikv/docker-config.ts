import { cp, mkdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { COMPOSE_FILE } from "./docker-layout.ts";

const SHIPPED = path.join(path.dirname(COMPOSE_FILE), "docker");
/** What the compose file mounts. */
export const CONFIG_FILES = ["pd.toml", "tikv.toml", "prometheus.yml"].map((name) => path.join(SHIPPED, name));

/**
 * A copy of the settings that the containers of an instance mount. Whoever looks at a container's mounts sees where a
 * mounted file lies on the host, so it is a folder that tells neither this repository nor our state folder. It lives as
 * long as the instance: containers mount it anew at every start.
 */
export async function placeConfig(id: string): Promise<string> {
  const folder = configFolder(id);
  await mkdir(folder, { recursive: true });
  for (const file of CONFIG_FILES) await cp(file, path.join(folder, path.basename(file)));
  return folder;
}

/** Idempotent. */
export async function removeConfig(id: string): Promise<void> {
  await rm(configFolder(id), { recursive: true, force: true });
}

function configFolder(id: string): string {
  const { XDG_STATE_HOME: given = "" } = process.env;
  return path.join(given === "" ? path.join(os.homedir(), ".local", "state") : given, `tikv-${id}`);
}
