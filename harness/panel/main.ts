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
import { controlClient } from "../control/client/control-client.ts";
import { announceMode, readSettings } from "../control/settings.ts";
import { TokenError } from "../control/tokens/index.ts";
import { openTokens } from "../control/tokens/open-tokens.ts";
import { panelConfig } from "./config.ts";
import { servePanel } from "./panel.ts";
import { openUsers } from "./users.ts";

const EXIT = { ended: 0, usage: 2, failed: 3 } as const;

const stop = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const)
  process.on(name, () => stop.abort(new HarnessError("interrupted", `told to stop (${name})`)));
// Below whoever started it and holds the other end: when that one is gone, so are we.
if (process.env["EXIT_WITH_STDIN"] === "1") {
  const gone = () => stop.abort(new HarnessError("interrupted", "whoever started it is gone"));
  process.stdin.on("end", gone).on("error", gone).resume();
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
  const config = panelConfig(process.env, settings);
  announceMode(settings, log);
  const { agentId, deploymentHash } = settings;
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
  log.info("panel.started", { page: panel.pageUrl, agents: panel.machinesUrl, control: control.address });
  if (openUsers(config.usersFile).names().length === 0)
    log.warn("panel.nobody-can-sign-in", { usersFile: config.usersFile, todo: "set a password for somebody" });
  await new Promise<void>((done) => {
    if (signal.aborted) return done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}
