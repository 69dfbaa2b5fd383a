import { openTickets, type Tickets } from "../../tickets/index.ts";
import { HarnessError } from "../base/errors.ts";
import { openOperatorEngine } from "../engine/open-operator-engine.ts";
import type { Deps } from "../protocol.ts";
import { auditIn, openAudit } from "./audit/index.ts";
import type { ComposeAgentConfig } from "./compose-agent-config.ts";
import { clusterStatus, keepRegistered, ownAssertions } from "./registration.ts";
import type { ControlServer } from "./server/options.ts";
import { serveControl } from "./server/serve.ts";
import type { ControlSettings } from "./settings.ts";
import { openTokens } from "./tokens/open-tokens.ts";

export const WRITER = "compose-agent";

/**
 * The compose-agent from its start to its end in order: engine, tokens, audit, tickets, queue, server, registration.
 * Serves until the signal aborts; then what runs is let finish, the rest is closed.
 *
 * @param started called once requests are answered.
 * @throws HarnessError of the part that could not be opened; AuditError when the audit cannot be written, or is not
 *   what was written; TokenError when a plane has no token, or one that is no secret.
 */
export async function runComposeAgent(
  config: ComposeAgentConfig,
  settings: ControlSettings,
  version: string,
  deps: Deps,
  started: (server: ControlServer) => void,
  signal: AbortSignal,
): Promise<void> {
  await using scope = new AsyncDisposableStack();
  const engine = scope.use(await openOperatorEngine(config.engine, config.network, deps, signal));
  const tokens = scope.use(await openTokens(settings, ["compose_agent", "status_panel"], deps, signal));
  const trail = scope.use(scope.use(auditIn(config.home, WRITER)));
  const audit = scope.use(await openAudit(trail, deps));
  const tickets: Tickets | null =
    config.ticketsPath === null ? null : scope.use(await openTickets(config.ticketsPath, deps));
  const { deploymentHash, controlPlane, agentId } = settings;
  const server = scope.use(
    await serveControl(
      {
        engine,
        tokens,
        audit,
        tickets,
        mode: config.mode,
        instance: config.instance,
        deploymentHash,
        version,
        stateDir: config.home.queue,
        controlPlane,
        workers: config.workers,
      },
      { tcp: config.tcp, socket: config.socketPath === null ? null : { path: config.socketPath } },
      deps,
      signal,
    ),
  );
  await audit.event("started", { version, server: server.serverId, epoch: server.bootEpoch, mode: config.mode });
  const who = { agentId, deploymentHash, part: "compose-agent" } as const;
  const registered = keepRegistered(
    {
      ...who,
      url: settings.dashboardUrl,
      version,
      composeAgent: settings.composeAgentEnabled,
      controlPlane,
      features: () => server.features(),
      status: (asked) => clusterStatus(engine, asked),
      assertions: ownAssertions(who, () => tokens.current("status_panel"), deps),
    },
    deps,
    signal,
  );
  started(server);
  await stopped(signal);
  await registered;
  await audit.event("stopping", { why: signal.reason instanceof HarnessError ? signal.reason.message : "told to" });
}

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((done) => signal.addEventListener("abort", () => done(), { once: true }));
}
