import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, type Clock, type EpochMs } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { signAssertion, type Part } from "../../harness/control/assertion.ts";
import type { PartStatus } from "../../harness/control/registration.ts";
import { fileTokens, openTokenCache, rotateToken, type TokenCache } from "../../harness/control/tokens/index.ts";
import type { ControlPort } from "../../harness/panel/control-port.ts";
import { servePanel, type Panel, type PanelOptions } from "../../harness/panel/panel.ts";
import { setPassword } from "../../harness/panel/users.ts";

export const DEPLOYMENT = "deployment-1";
export const PERSON = { name: "anna", password: "correct horse battery" } as const;

const deps = { clock: systemClock, ids: randomIds, log: silentLog, random: seededRandom(1) };

/** Time as it is, but for how far the test has moved it on. */
class MovableClock implements Clock {
  #movedMs = 0;
  now = (): EpochMs => (systemClock.now() + this.#movedMs) as EpochMs;
  monotonic = (): number => systemClock.monotonic() + this.#movedMs;
  sleep = (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(ms, signal);
  move(ms: number): void {
    this.#movedMs += ms;
  }
}

export interface PanelBench extends AsyncDisposable {
  readonly panel: Panel;
  readonly tokens: TokenCache;
  readonly folder: string;
  /** Of the panel alone. */
  readonly clock: MovableClock;
  /** Aborts when it ends. */
  readonly over: AbortSignal;
  /** Registers a program, or beats for one that has registered. */
  tell(part: Part, changes?: Readonly<Record<string, unknown>>, status?: PartStatus): Promise<number>;
}

/** A panel on free ports of the loopback, with a token and one person of its own. */
export async function panelBench(control: ControlPort, changes: Partial<PanelOptions> = {}): Promise<PanelBench> {
  const folder = mkdtempSync(join(tmpdir(), "panel-"));
  const life = new AbortController();
  const signal = new AbortController().signal;
  const provider = fileTokens(join(folder, "tokens"), deps);
  await rotateToken(provider, "status_panel", {}, deps, signal);
  const tokens = await openTokenCache({ provider, planes: ["status_panel"] }, deps, signal);
  const usersFile = join(folder, "users");
  await addPerson(usersFile);
  const options: PanelOptions = {
    control,
    tokens,
    usersFile,
    deploymentHash: DEPLOYMENT,
    titles: { deployment: DEPLOYMENT, notice: null },
    hosts: ["127.0.0.1"],
    secureCookie: false,
    page: { host: "127.0.0.1", port: 0 },
    machines: { host: "127.0.0.1", port: 0 },
    ...changes,
  };
  const clock = new MovableClock();
  const panel = await servePanel(options, { ...deps, clock });
  return {
    panel,
    tokens,
    folder,
    clock,
    over: life.signal,
    tell: (part, registration = {}, status = {}) => tellPanel(panel, tokens, part, registration, status),
    [Symbol.asyncDispose]: async () => {
      life.abort(new Error("the bench is cleared"));
      await panel[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Hashing is slow on purpose, so it is done once. */
let hashed: string | null = null;

async function addPerson(usersFile: string): Promise<void> {
  if (hashed === null) await setPassword(usersFile, PERSON.name, PERSON.password);
  else writeFileSync(usersFile, hashed, { mode: 0o600 });
  hashed ??= readFileSync(usersFile, "utf8");
}

async function tellPanel(
  panel: Panel,
  tokens: TokenCache,
  part: Part,
  changes: Readonly<Record<string, unknown>>,
  status: PartStatus,
): Promise<number> {
  const who = { agentId: `${part}-1`, deploymentHash: DEPLOYMENT, part, holder: changes["compose_agent"] === false };
  const { assertion } = signAssertion(who, tokens.current("status_panel")?.token ?? "", deps);
  const body = {
    agent_id: who.agentId,
    deployment_hash: DEPLOYMENT,
    part,
    version: "1.2.3",
    compose_agent: true,
    control_plane: "compose_agent",
    features: ["docker", "restart"],
    status,
    ...changes,
  };
  const response = await fetch(new URL("/api/v1/agents/register", panel.machinesUrl), {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Assertion ${assertion}` },
    body: JSON.stringify(body),
  });
  await response.body?.cancel();
  return response.status;
}
