import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { scenarios } from "../../scenarios/index.ts";
import { findScenario, scenarioYaml } from "../../harness/trial/scenario-file.ts";

/** Longer than a restart by policy takes, so that what comes back by itself is still seen to. */
const RECOVER_MS = 15_000;

/**
 * A shipped scenario as a file in that folder: the same in all but how long a cluster that nobody repairs is watched
 * (a minute as shipped, for whoever waits for nothing else).
 */
export async function briefScenario(id: string, folder: string): Promise<string> {
  const scenario = await findScenario(id, scenarios);
  const file = join(folder, `${id.replaceAll("/", "-")}.yaml`);
  await writeFile(file, scenarioYaml({ ...scenario, limits: { ...scenario.limits, recoverMs: RECOVER_MS } }));
  return file;
}
