/**
 * The compose-agent's program: `node harness/control/main.ts [ticket file] [--compose-mode] …`; its own settings in
 * `compose-agent-config.ts`, those of the whole deployment in `settings.ts`. With `--check` it only asks a running one
 * how it is: the health check of its container.
 *
 * Exit codes: 0 = ended as asked (`--check`: it is well), 1 = `--check`: it is not, 2 = wrong settings or tokens,
 * 3 = something it needs is not to be had (engine, audit, ticket file, port) or it failed in mid-work.
 */
import { errorText, HarnessError } from "../base/errors.ts";
import { jsonLog } from "../base/log.ts";
import { packageVersion } from "../base/package-version.ts";
import { programDeps } from "../base/program-deps.ts";
import { stopWithParent, toldToStop } from "../base/told-to-stop.ts";
import { checkHealth } from "./check-health.ts";
import { runComposeAgent } from "./compose-agent.ts";
import { composeAgentConfig } from "./compose-agent-config.ts";
import { announceMode, readSettings } from "./settings.ts";
import { TokenError } from "./tokens/index.ts";

const EXIT = { ended: 0, unhealthy: 1, usage: 2, failed: 3 } as const;

const stop = toldToStop();
stopWithParent(stop);

const log = jsonLog();
try {
  process.exitCode = await main();
} catch (error) {
  if (stop.signal.aborted && error === stop.signal.reason) log.info("compose-agent.stopped", { why: errorText(error) });
  else {
    const code = error instanceof HarnessError ? error.code : "internal";
    const stack = code === "internal" && error instanceof Error ? { stack: error.stack } : {};
    log.error("compose-agent.failed", { code, why: errorText(error), ...stack });
    // What does not go away by itself: a person has to make a token.
    const forPeople = ["missing", "weak", "malformed", "permissions"];
    const wrong = code === "config-invalid" || (error instanceof TokenError && forPeople.includes(error.reason));
    process.exitCode = wrong ? EXIT.usage : EXIT.failed;
  }
}

async function main(): Promise<number> {
  const config = composeAgentConfig(process.argv.slice(2), process.env);
  const deps = programDeps(log);
  if (config.check) return (await checkHealth(config, deps)) ? EXIT.ended : EXIT.unhealthy;
  const { settings } = readSettings({
    env: process.env,
    flags: { composeMode: config.composeMode, config: config.configFile },
    defaults: { agentId: "compose-agent" },
  });
  announceMode(settings, log);
  await runComposeAgent(
    config,
    settings,
    packageVersion(),
    deps,
    ({ url, socketPath }) => log.info("compose-agent.started", { url, socketPath, instance: config.instance }),
    stop.signal,
  );
  log.info("compose-agent.stopped", { why: errorText(stop.signal.reason) });
  return EXIT.ended;
}
