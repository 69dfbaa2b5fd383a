import { randomBytes } from "node:crypto";
import { chown, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { $ } from "zx";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { PLANES } from "../../harness/control/planes.ts";
import { fileTokens, rotateToken } from "../../harness/control/tokens/index.ts";
import { openAgentCompose } from "../../harness/engine/agent-compose.ts";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { composeProject } from "./compose-project.ts";

/** What answers as `pd0` on the cluster's network: enough for a program to be reached and refused. */
const CLUSTER = `
  pd0:
    image: node:24-bookworm-slim
    init: true
    command: ["node", "-e", "require('http').createServer((q,s)=>s.end('{}')).listen(2379)"]
`;

export interface DeploymentOptions {
  /** Before anything is started, e.g. to write a ticket. */
  prepare?(folders: { readonly tickets: string; readonly instance: string }): Promise<void>;
  readonly variables?: Readonly<Record<string, string>>;
}

/** The shipped compose file of compose mode beside a cluster of one container; everything of a test's own. */
export interface AgentDeployment extends AsyncDisposable {
  readonly project: string;
  readonly instance: string;
  /** Who its programs are, not root. */
  readonly uid: number;
  readonly tokenDir: string;
  /** Of the control server, for callers on this machine. */
  readonly socketPath: string;
  /** As Docker shows it now. */
  inspect(service: string): Promise<Docker.ContainerInspectInfo>;
  /** Runs a program in a container, as somebody; never throws for what it says. */
  exec(
    service: string,
    user: number | string,
    ...argv: string[]
  ): Promise<{ readonly code: number; readonly text: string }>;
  restart(service: string): Promise<void>;
}

export async function agentDeployment(options: DeploymentOptions = {}): Promise<AgentDeployment> {
  await using undo = new AsyncDisposableStack();
  const cluster = undo.use(await composeProject(CLUSTER));
  await cluster.compose.up({}, AbortSignal.timeout(60_000));
  const folder = await mkdtemp(join(tmpdir(), "site-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const [uid, gid] = process.getuid?.() === 0 ? [1000, 1000] : [process.getuid?.() ?? 1000, process.getgid?.() ?? 1000];
  const instance = randomBytes(4).toString("hex");
  const site = {
    ticketsDir: join(folder, "tickets"),
    stateDir: join(folder, "state"),
    tokenDir: join(folder, "tokens"),
  };
  const signal = AbortSignal.timeout(110_000);
  const provider = fileTokens(site.tokenDir, { clock: systemClock, ids: randomIds });
  for (const plane of PLANES) await rotateToken(provider, plane, {}, { clock: systemClock, ids: randomIds }, signal);
  const project = `operator-${instance}`;
  const more = { HOST_UID: String(uid), HOST_GID: String(gid), PANEL_PORT: "0", ...options.variables };
  const compose = await openAgentCompose(
    "compose",
    project,
    { ...site, network: cluster.network, subjectProject: cluster.name, instance, more },
    signal,
  );
  await options.prepare?.({ tickets: site.ticketsDir, instance });
  await own(folder, uid, gid);
  undo.defer(() => compose.down({ volumes: true, timeoutMs: 2_000 }, AbortSignal.timeout(100_000)));
  await compose.up({}, signal);
  const docker = await dockerClient();
  const idOf = async (service: string): Promise<string> => {
    const label = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`];
    const [found] = await docker.listContainers({ all: true, filters: { label } });
    if (found === undefined) throw new Error(`${service} is not there`);
    return found.Id;
  };
  const kept = undo.move();
  return {
    project,
    instance,
    uid,
    tokenDir: site.tokenDir,
    socketPath: join(site.stateDir, "control.sock"),
    inspect: async (service) => await docker.getContainer(await idOf(service)).inspect(),
    async exec(service, user, ...argv) {
      const done = await $({ nothrow: true, quiet: true })`docker exec -u ${user} ${await idOf(service)} ${argv}`;
      return { code: done.exitCode ?? -1, text: `${done.stdout}${done.stderr}` };
    },
    async restart(service) {
      await docker.getContainer(await idOf(service)).restart({ t: 5 });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A root's folders, given to whom the containers run as. */
async function own(folder: string, uid: number, gid: number): Promise<void> {
  if (process.getuid?.() !== 0) return;
  for (const entry of await readdir(folder, { recursive: true })) await chown(join(folder, entry), uid, gid);
  await chown(folder, uid, gid);
}
