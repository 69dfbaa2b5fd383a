/**
 * The panel's program: `node harness/panel/main.ts`; settings in `config.ts` and `harness/control/settings.ts`.
 *
 * Exit codes: 0 = ended as asked, 2 = wrong settings or no token, 3 = something it needs is not to be had (port).
 */
import { systemClock } from "../base/clock.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { randomIds } from "../base/ids.ts";
import { jsonLog } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { announceMode, readSettings } from "../control/settings.ts";
import { TokenError } from "../control/tokens/index.ts";
import { panelConfig } from "./config.ts";
import { runPanel } from "./run-panel.ts";

const EXIT = { ended: 0, usage: 2, failed: 3 } as const;

const stop = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const)
  process.on(name, () => stop.abort(new HarnessError("interrupted", `told to stop (${name})`)));
// Below whoever started it and holds the other end: when that one is gone, so are we.
if (process.env["EXIT_WITH_STDIN"] === "1") {
  const gone = () => stop.abort(new HarnessError("interrupted", "whoever started it is gone"));
  process.stdin.on("end", gone).on("error", gone).resume();
  // A pipe that is listened to must not keep a program alive that could not start. Of a file there is nothing to unref.
  if ("unref" in process.stdin) process.stdin.unref();
}

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
  const deps = {
    clock: systemClock,
    ids: randomIds,
    log,
    fetch: globalThis.fetch,
    random: seededRandom(randomIds.hex(8)),
  };
  const { settings } = readSettings({ env: process.env, defaults: { agentId: "statuspanel" } });
  announceMode(settings, log);
  await runPanel(panelConfig(process.env, settings), settings, deps, () => {}, signal);
}
