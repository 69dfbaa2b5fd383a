import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "../base/make-folder.ts";
import { openCompose, type Compose } from "./compose.ts";
import { handedRunbooks, handRunbooks } from "./hand-runbooks.ts";
import { ensureImage, type ImageBuild } from "./images.ts";
import { ownImages } from "./own-images.ts";

/** `compose`: the engine's socket in the compose-agent alone. `legacy`: in the agent. */
export type AgentMode = "compose" | "legacy";

/** What the compose files of the agent are told; everything else has a default there. */
export interface AgentSite {
  /** Folder of the ticket file, which must be there: compose would make it as root. */
  readonly ticketsDir: string;
  /** Name of the ticket file in it; default `tickets.db`. */
  readonly ticketsFile?: string;
  /** Network of the cluster, and the compose project whose containers it is. */
  readonly network: string;
  readonly subjectProject: string;
  /** Whose incidents are worked. */
  readonly instance: string;
  /** What the compose-agent keeps (audit, queue, socket), and copies of runbooks. Made if missing. */
  readonly stateDir: string;
  /** A folder for each plane's token in it; the legacy form has that of people alone. */
  readonly tokenDir: string;
  /** Folders with runbooks of the user's, copied when it is opened; left away = those of the last time. */
  readonly runbooks?: readonly string[];
  /** More of the files' variables, e.g. OPERATOR, RESTART_POLICY, AGENT_FLAGS. */
  readonly more?: Readonly<Record<string, string>>;
}

const AGENT_SOCKET = "/var/run/docker.sock";

const FOLDER = resolve(import.meta.dirname, "../../docker/agent");
const FILES: Readonly<Record<AgentMode, string>> = {
  compose: join(FOLDER, "docker-compose.yml"),
  legacy: join(FOLDER, "docker-compose.legacy.yml"),
};

const IMAGES: Readonly<Record<AgentMode, readonly ImageBuild[]>> = {
  compose: [ownImages.agent, ownImages.composeAgent, ownImages.panel, ownImages.netTools],
  legacy: [ownImages.agent, ownImages.panel],
};

/** Builds those whose sources changed. @returns their tags. @throws HarnessError `image-missing` */
export async function ensureAgentImages(
  mode: AgentMode,
  signal: AbortSignal,
  onBuild: (tag: string) => void = () => {},
): Promise<readonly string[]> {
  const built: string[] = [];
  for (const image of IMAGES[mode])
    if (await ensureImage(image, signal, () => onBuild(image.tag))) built.push(image.tag);
  return built;
}

/** Where the copies of the user's runbooks are, in the agent's container and on this machine. */
const RUNBOOKS_INSIDE = "/run/operator/runbooks";
const runbooksHere = ({ stateDir }: AgentSite): string => join(stateDir, "runbooks");

/** Variables of the compose files for this site and for whoever runs us; it was opened before. */
export async function agentVariables(site: AgentSite): Promise<Readonly<Record<string, string>>> {
  const runbooks = await handedRunbooks(runbooksHere(site));
  return {
    AGENT_IMAGE: ownImages.agent.tag,
    COMPOSE_AGENT_IMAGE: ownImages.composeAgent.tag,
    PANEL_IMAGE: ownImages.panel.tag,
    NET_TOOLS_IMAGE: ownImages.netTools.tag,
    HOST_UID: String(process.getuid?.() ?? 1000),
    HOST_GID: String(process.getgid?.() ?? 1000),
    DOCKER_GID: await socketGroup(),
    TIKV_NETWORK: site.network,
    SUBJECT_PROJECT: site.subjectProject,
    INSTANCE_ID: site.instance,
    TICKETS_DIR: site.ticketsDir,
    ...(site.ticketsFile === undefined ? {} : { TICKETS_FILE: site.ticketsFile }),
    STATE_DIR: site.stateDir,
    TOKEN_DIR: site.tokenDir,
    RUNBOOKS_DIR: runbooksHere(site),
    RUNBOOK_DIRS: runbooks.map((name) => `${RUNBOOKS_INSIDE}/${name}`).join(":"),
    ...site.more,
  };
}

const MOUNTED: Readonly<Record<AgentMode, (site: AgentSite) => readonly string[]>> = {
  compose: ({ stateDir, tokenDir }) => [stateDir, join(tokenDir, "status_panel"), join(tokenDir, "compose_agent")],
  legacy: ({ tokenDir }) => [join(tokenDir, "status_panel")],
};

/**
 * The agent's containers as one compose project. The folders that are mounted are made first, by us and for us alone:
 * compose would make them as root.
 *
 * @throws HarnessError `engine-unreachable` without compose; what the file system throws.
 */
export async function openAgentCompose(
  mode: AgentMode,
  project: string,
  site: AgentSite,
  signal: AbortSignal,
): Promise<Compose> {
  for (const folder of MOUNTED[mode](site)) makeFolder(folder, 0o700);
  await handRunbooks(site.runbooks, runbooksHere(site));
  return await openCompose({ file: FILES[mode], project, env: await agentVariables(site) }, signal);
}

/** Who may use the engine's socket; 0 where it cannot be told. Docker Desktop's is root's on the other kernel. */
async function socketGroup(): Promise<string> {
  if (process.platform !== "linux") return "0";
  return String((await stat(AGENT_SOCKET).catch(() => ({ gid: 0 }))).gid);
}
