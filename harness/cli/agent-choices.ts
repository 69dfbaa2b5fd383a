import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { AgentSite } from "../engine/agent-compose.ts";

/** What people choose by the environment of `lab agent up`, without secrets: those are nowhere but where they were given. */
const CHOSEN = [
  "OPERATOR",
  "OPERATOR_SAFETY_MODE",
  "MODEL",
  "MAX_USD",
  "ANTHROPIC_BASE_URL",
  "MODEL_HTTP_PROXY",
  "DASHBOARD_URL",
  "DEPLOYMENT_HASH",
  "PANEL_PORT",
  "PANEL_AGENTS_PORT",
  "PANEL_HOSTS",
  "PANEL_TLS",
  "VAULT_ADDRESS",
  "VAULT_AGENT_PATH_PREFIX",
  "VAULT_NAMESPACE",
  "VAULT_KV_VERSION",
];

const choices = z.record(z.string(), z.string());
const fileOf = (stateDir: string): string => join(stateDir, "agent.json");

/** For whoever makes a container anew later, in another environment: a person's agent must not come back as a program. */
export async function keepChoices(
  { stateDir, instance, more = {} }: AgentSite,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  // Empty is as good as not set in the compose files.
  const chosen = Object.fromEntries(CHOSEN.map((name) => [name, more[name] ?? env[name] ?? ""]));
  await writeFile(fileOf(stateDir), JSON.stringify({ ...chosen, INSTANCE_ID: instance }), { mode: 0o600 });
}

/** Variables of the compose files, as they were at the last `lab agent up`; none where there was none. */
export async function keptChoices(stateDir: string): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(fileOf(stateDir), "utf8").catch(() => "{}");
  return choices.parse(JSON.parse(text));
}
