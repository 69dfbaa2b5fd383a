import type { ControlClient } from "../control/client/index.ts";
import type { ControlSettings } from "../control/settings.ts";
import { openOperatorEngine } from "../engine/open-operator-engine.ts";
import type { Deps, Engine } from "../protocol.ts";
import type { CurrentWork } from "./current-work.ts";

/** What it takes to go through a compose-agent. */
export interface ThroughControl {
  readonly client: ControlClient;
  readonly work: CurrentWork;
}

/**
 * The operator's engine: `unix:<socket>` or `docker:<project>` as `openOperatorEngine`; with `control` the one behind a
 * compose-agent.
 *
 * @throws EngineError `engine-unreachable`, `engine-permission`: says what to do; ControlError.
 */
export async function openEngine(
  address: string,
  network: string | null,
  deps: Pick<Deps, "clock" | "ids" | "log">,
  signal: AbortSignal,
  control: ThroughControl | null = null,
): Promise<Engine> {
  if (control === null) return await openOperatorEngine(address, network, deps, signal);
  const { client, work } = control;
  const { openControlEngine } = await import("../control/client/index.ts");
  return await openControlEngine({ client, fence: () => work.fence(), approval: () => work.approval() }, signal);
}

/**
 * The client of a compose-agent at `control:http://host:port` or `control:unix:<socket>`, with the token of the agent's
 * plane, which is kept fresh until it is disposed of. Null for every other address: the engine is held here.
 *
 * @throws TokenError: says what to do.
 */
export async function openSidecar(
  address: string,
  settings: ControlSettings,
  deps: Deps,
  signal: AbortSignal,
): Promise<ControlClient | null> {
  if (!address.startsWith("control:")) return null;
  const [{ controlClient }, { openTokens }] = await Promise.all([
    import("../control/client/index.ts"),
    import("../control/tokens/open-tokens.ts"),
  ]);
  const tokens = await openTokens(settings, ["compose_agent"], deps, signal);
  const server = address.slice("control:".length);
  const where = server.startsWith("unix:") ? { socketPath: server.slice("unix:".length) } : { url: server };
  const client = controlClient(
    {
      ...where,
      plane: "compose_agent",
      agentId: settings.agentId,
      deploymentHash: settings.deploymentHash,
      token: () => tokens.current("compose_agent"),
      refreshToken: (asked) => tokens.refresh("compose_agent", asked),
      onEnd: async () => await tokens[Symbol.asyncDispose](),
    },
    deps,
  );
  return client;
}
