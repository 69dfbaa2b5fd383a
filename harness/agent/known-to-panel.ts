import { errorText } from "../base/errors.ts";
import { packageVersion } from "../base/package-version.ts";
import { controlClient, type ControlClient } from "../control/client/index.ts";
import { LEGACY_FEATURES } from "../control/legacy/answer.ts";
import { serveOrders } from "../control/legacy/serve-orders.ts";
import { askedAssertions, clusterStatus, keepRegistered, ownAssertions } from "../control/registration.ts";
import type { ControlSettings } from "../control/settings.ts";
import { openTokens } from "../control/tokens/open-tokens.ts";
import type { Deps, Engine, SafetyMode } from "../protocol.ts";
import type { Tickets } from "../../tickets/index.ts";

/** A token that is missing may be made yet. */
const AGAIN_MS = 15_000;

export interface KnownOptions {
  readonly settings: ControlSettings;
  /** Null = legacy mode: this program holds the engine itself. */
  readonly client: Pick<ControlClient, "assertion"> | null;
  readonly engine: Engine;
  readonly tickets: Tickets;
  /** What the operator may do; people see it. */
  readonly mode: SafetyMode;
  /** One line for people: what the agent does right now. */
  doing(): string;
}

/**
 * Keeps the agent known to the panel until the signal aborts. In compose mode the compose-agent vouches for it. In
 * legacy mode it needs the panel's own token: with it, it tells of the cluster, answers what the panel asks of the ticket
 * file, and carries out what people command; without one it stays unknown until there is one. Never throws, and nobody waits for it: the panel must not disturb the work.
 */
export async function keepKnownToPanel(options: KnownOptions, deps: Deps, signal: AbortSignal): Promise<void> {
  for (let said = false; !signal.aborted; said = true) {
    try {
      await (options.client === null
        ? asHolder(options, deps, signal)
        : throughSidecar(options, options.client, deps, signal));
      return;
    } catch (error) {
      if (!said && !signal.aborted) deps.log.warn("panel.not-registered", { why: errorText(error) });
    }
    await deps.clock.sleep(AGAIN_MS, signal).catch(() => {});
  }
}

async function throughSidecar(
  { settings, doing }: KnownOptions,
  client: Pick<ControlClient, "assertion">,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  const assertions = askedAssertions((asked) => client.assertion(asked), deps);
  const abilities = { features: () => [], status: () => Promise.resolve({ doing: doing() }) };
  await keepRegistered({ ...identityOf(settings), ...abilities, assertions }, deps, signal);
}

async function asHolder(
  { settings, engine, tickets, mode, doing }: KnownOptions,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  await using tokens = await openTokens(settings, ["status_panel"], deps, signal);
  const token = () => tokens.current("status_panel");
  const identity = identityOf(settings);
  const { agentId, deploymentHash, url } = identity;
  await using client = controlClient(
    {
      url,
      plane: "status_panel",
      agentId,
      deploymentHash,
      token,
      refreshToken: (asked) => tokens.refresh("status_panel", asked),
    },
    deps,
  );
  const registration = {
    ...identity,
    features: () => [engine.kind, ...LEGACY_FEATURES],
    status: async (asked: AbortSignal) => ({ ...(await clusterStatus(engine, asked)), doing: doing() }),
    assertions: ownAssertions({ agentId, deploymentHash, part: "agent" }, token, deps),
  };
  const plane = { client, tokens, engine, tickets, agentId, deploymentHash, version: identity.version, mode };
  await Promise.all([keepRegistered(registration, deps, signal), serveOrders(plane, deps, signal)]);
}

function identityOf(settings: ControlSettings) {
  const { dashboardUrl: url, agentId, deploymentHash, composeAgentEnabled, controlPlane } = settings;
  return {
    url,
    part: "agent" as const,
    agentId,
    deploymentHash,
    version: packageVersion(),
    composeAgent: composeAgentEnabled,
    controlPlane,
  };
}
