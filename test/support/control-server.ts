import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, type Clock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import {
  auditIn,
  controlHome,
  openAudit,
  type AuditTrail,
  type ControlHome,
} from "../../harness/control/audit/index.ts";
import { controlClient, type ControlClient, type ControlClientOptions } from "../../harness/control/client/index.ts";
import { PLANES, type Plane } from "../../harness/control/planes.ts";
import {
  serveControl,
  type ControlServer,
  type ControlServerOptions,
  type ListenOptions,
} from "../../harness/control/server/index.ts";
import {
  fileTokens,
  openTokenCache,
  rotateToken,
  type TokenCache,
  type TokenProvider,
} from "../../harness/control/tokens/index.ts";
import type { Engine, InstanceId, Log } from "../../harness/protocol.ts";

export const DEPLOYMENT = "deploy1";

export interface TestControl extends AsyncDisposable {
  readonly server: ControlServer;
  readonly tokens: TokenCache;
  readonly home: ControlHome;
  readonly folder: string;
  client(plane: Plane, options?: Partial<ControlClientOptions>): ControlClient;
  /** Ends it as a restart would, keeping its folder. */
  stop(): Promise<void>;
}

export interface TestControlOptions extends Partial<Omit<ControlServerOptions, "engine" | "tokens" | "audit">> {
  readonly engine: Engine;
  /** Of an earlier one, to go on with it. */
  readonly folder?: string;
  readonly clock?: Clock;
  /** Where tokens are; files in its folder (`<folder>/tokens`) unless told. */
  readonly provider?: TokenProvider;
  readonly listen?: ListenOptions;
  readonly log?: Log;
  readonly wrapAudit?: (trail: AuditTrail) => AuditTrail;
}

const never = new AbortController().signal;

/** A real server with tokens in files and an audit of its own, on a free port. */
export async function startControl(options: TestControlOptions): Promise<TestControl> {
  const root = options.folder ?? mkdtempSync(join(tmpdir(), "control-"));
  const scope = new AsyncDisposableStack();
  try {
    return await open(options, root, scope);
  } catch (error) {
    await scope.disposeAsync();
    if (options.folder === undefined) rmSync(root, { recursive: true, force: true });
    throw error;
  }
}

async function open(
  {
    engine,
    clock = systemClock,
    listen,
    provider: given,
    log = silentLog,
    wrapAudit = (trail) => trail,
    folder: _,
    ...rest
  }: TestControlOptions,
  root: string,
  scope: AsyncDisposableStack,
): Promise<TestControl> {
  const deps = { clock, ids: randomIds, log, random: seededRandom(1) };
  const home = controlHome(join(root, "state"));
  const provider = given ?? fileTokens(join(root, "tokens"), deps);
  for (const plane of PLANES)
    if ((await provider.fetch(plane, never)) === null) await rotateToken(provider, plane, {}, deps, never);
  const tokens = scope.use(await openTokenCache({ provider, planes: PLANES }, deps, never));
  const trail = scope.use(auditIn(home, "compose-agent"));
  const audit = scope.use(await openAudit(trail, deps));
  const options: ControlServerOptions = {
    engine,
    tokens,
    audit: wrapAudit(audit),
    tickets: null,
    mode: "execute",
    instance: "aabbccdd00112233" as InstanceId,
    deploymentHash: DEPLOYMENT,
    version: "0.0.0",
    stateDir: home.queue,
    controlPlane: "compose_agent",
    ...rest,
  };
  const server = scope.use(await serveControl(options, listen ?? { tcp: { host: "127.0.0.1", port: 0 } }, deps, never));
  const stop = (): Promise<void> => scope.disposeAsync();
  return {
    server,
    tokens,
    home,
    folder: root,
    client: (plane, more = {}) =>
      scope.use(
        controlClient(
          {
            ...(server.url === null ? { socketPath: server.socketPath ?? "" } : { url: server.url }),
            plane,
            agentId: `test-${plane}`,
            deploymentHash: DEPLOYMENT,
            token: () => tokens.current(plane),
            ...more,
          },
          deps,
        ),
      ),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
