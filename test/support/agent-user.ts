import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureAgentImages } from "../../harness/engine/agent-compose.ts";
import { composeProject } from "./compose-project.ts";
import { labHome, type LabHome } from "./lab-process.ts";

/** Building the images, on a machine where nobody has yet. */
export const AGENT_IMAGES_MS = 700_000;

/** Somebody on this machine who brings up the agent's containers, beside containers that stand for a cluster's. */
export interface AgentUser extends AsyncDisposable {
  /** Their home folder: tickets, tokens, audit. */
  readonly user: string;
  readonly home: LabHome;
  readonly project: string;
  /** For `--network`. */
  readonly network: string;
}

/** Disposing takes the agent's containers down. @param env of theirs, too. */
export async function agentUser(
  components: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<AgentUser> {
  await ensureAgentImages("compose", AbortSignal.timeout(AGENT_IMAGES_MS - 60_000));
  await using scope = new AsyncDisposableStack();
  const service = `
    image: node:24-bookworm-slim
    init: true
    command: ["node", "-e", "require('http').createServer((q,s)=>s.end('{}')).listen(2379)"]
`;
  const services = components.map((component) => `\n  ${component}:${service}`).join("");
  const cluster = scope.use(await composeProject(services, { network: "{}" }));
  await cluster.compose.up({}, AbortSignal.timeout(60_000));
  const user = await mkdtemp(join(tmpdir(), "user-"));
  scope.defer(() => rm(user, { recursive: true, force: true }));
  const theirs = { HOME: user, XDG_STATE_HOME: join(user, ".local", "state"), DOCKER_CONFIG: join(user, ".docker") };
  const home = scope.use(await labHome({ ...theirs, PANEL_PORT: "0", ...env }));
  scope.defer(async () => void (await home.run("agent", "down").ended));
  const all = scope.move();
  return {
    user,
    home,
    project: cluster.name,
    network: `${cluster.name}_default`,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
