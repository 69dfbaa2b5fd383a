import { cp, mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { mountedFolder } from "../../harness/engine/mounted-folder.ts";
import { RULES_FILE } from "./alert-rules.ts";
import { COMPOSE_FILE } from "./docker-layout.ts";

const SHIPPED = path.join(path.dirname(COMPOSE_FILE), "docker");
/** What the compose file mounts. */
export const CONFIG_FILES = ["pd.toml", "tikv.toml", "prometheus.yml", RULES_FILE].map((name) =>
  path.join(SHIPPED, name),
);

/**
 * A copy of the settings that the containers of an instance mount, in a folder that does not say what it is for. It
 * lives as long as the instance: containers mount it anew at every start.
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

const configFolder = (id: string): string => mountedFolder(`tikv-${id}`);
