/**
 * The panel's program: `node harness/panel/main.ts`; settings in `config.ts` and `harness/control/settings.ts`.
 *
 * Exit codes: 0 = ended as asked, 2 = wrong settings or no token, 3 = something it needs is not to be had (port).
 */
import { errorText, HarnessError } from "../base/errors.ts";
import { jsonLog } from "../base/log.ts";
import { programDeps } from "../base/program-deps.ts";
import { stopWithParent, toldToStop } from "../base/told-to-stop.ts";
import { announceMode, readSettings } from "../control/settings.ts";
import { TokenError } from "../control/tokens/index.ts";
import { panelConfig } from "./config.ts";
import { runPanel } from "./run-panel.ts";

const EXIT = { ended: 0, usage: 2, failed: 3 } as const;

const stop = toldToStop();
stopWithParent(stop);

const log = jsonLog();
try {
  await main(stop.signal);
  log.info("panel.stopped", { why: errorText(stop.signal.reason) });
  process.exitCode = EXIT.ended;
} catch (error) {
  const code = error instanceof HarnessError ? error.code : "internal";
  log.error("panel.failed", { code, why: errorText(error) });
  process.exitCode = code === "config-invalid" || error instanceof TokenError ? EXIT.usage : EXIT.failed;
  stop.abort(error);
}

async function main(signal: AbortSignal): Promise<void> {
  const deps = programDeps(log);
  const { settings } = readSettings({ env: process.env, defaults: { agentId: "statuspanel" } });
  announceMode(settings, log);
  await runPanel(panelConfig(process.env, settings), settings, deps, () => {}, signal);
}
