import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { AgentMode, AgentSite } from "../engine/agent-compose.ts";

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

const file = z
  .record(z.string(), z.string())
  // Files of before name no mode: nothing was made anew in the legacy one then.
  .transform(({ AGENT_MODE, ...variables }) => ({
    mode: AGENT_MODE === "legacy" ? ("legacy" as const) : ("compose" as const),
    variables,
  }));
const fileOf = (stateDir: string): string => join(stateDir, "agent.json");

/** For whoever makes a container anew later, in another environment: a person's agent must not come back as a program. */
export async function keepChoices(
  mode: AgentMode,
  { stateDir, instance, more = {} }: AgentSite,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  // Empty is as good as not set in the compose files.
  const chosen = Object.fromEntries(CHOSEN.map((name) => [name, more[name] ?? env[name] ?? ""]));
  const kept = { ...chosen, INSTANCE_ID: instance, AGENT_MODE: mode };
  await writeFile(fileOf(stateDir), JSON.stringify(kept), { mode: 0o600 });
}

/** The mode of the last `lab agent up`, and variables of its compose file; none where there was none. */
export async function keptChoices(
  stateDir: string,
): Promise<{ readonly mode: AgentMode; readonly variables: Readonly<Record<string, string>> }> {
  const text = await readFile(fileOf(stateDir), "utf8").catch(() => "{}");
  return file.parse(JSON.parse(text));
}
