import { controlClient } from "../control/client/index.ts";
import type { ControlSettings } from "../control/settings.ts";
import { openTokens } from "../control/tokens/open-tokens.ts";
import type { Deps } from "../protocol.ts";
import type { PanelConfig } from "./config.ts";
import { servePanel, type Panel } from "./panel.ts";
import { openUsers } from "./users.ts";

/**
 * The panel from its start to its end in order: token, control client, page and door.
 *
 * @param started called once both answer.
 * @throws TokenError without a token; HarnessError `port-taken`, `config-invalid`.
 */
export async function runPanel(
  config: PanelConfig,
  settings: ControlSettings,
  deps: Deps,
  started: (panel: Panel) => void,
  signal: AbortSignal,
): Promise<void> {
  const { agentId, deploymentHash } = settings;
  const { log } = deps;
  await using tokens = await openTokens(settings, ["status_panel"], deps, signal);
  await using control = controlClient(
    {
      ...config.control,
      plane: "status_panel",
      agentId,
      deploymentHash,
      token: () => tokens.current("status_panel"),
      refreshToken: (asked) => tokens.refresh("status_panel", asked),
    },
    deps,
  );
  await using panel = await servePanel(
    { ...config, control, tokens, deploymentHash, titles: { deployment: deploymentHash, notice: config.notice } },
    deps,
  );
  if (openUsers(config.usersFile).names().length === 0)
    log.warn("panel.nobody-can-sign-in", { usersFile: config.usersFile, todo: "set a password for somebody" });
  log.info("panel.started", { page: panel.pageUrl, agents: panel.machinesUrl, control: control.address });
  started(panel);
  await new Promise<void>((done) => {
    if (signal.aborted) return done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}
