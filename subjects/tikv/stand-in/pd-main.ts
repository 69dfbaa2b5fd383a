import { createWriteStream } from "node:fs";
import { randomBytes } from "node:crypto";
import { systemClock } from "../../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../../harness/base/errors.ts";
import { seededRandom } from "../../../harness/base/random.ts";
import { nodeName, openLinkRules } from "../../common/link/link-rules.ts";
import { exitWithParent } from "../../common/parent-watch.ts";
import { logOfNode, nodeLog } from "./node-log.ts";
import { parsePdFlags, type PdFlags } from "./pd/flags.ts";
import { PD_VERSION } from "./pd/http/render.ts";
import { startPd } from "./pd/pd-server.ts";

exitWithParent();

async function main(): Promise<void> {
  process.title = "pd-server";
  const flags = readFlags();
  const file = flags.logFile === null ? null : createWriteStream(flags.logFile, { flags: "a" });
  const write = (line: string) => void (file ?? process.stdout).write(line);
  const log = nodeLog({
    clock: systemClock,
    write,
    ...(flags.logLevel === "debug" ? { level: "DEBUG" as const } : {}),
  });
  log.info("util.go:42", "Welcome to Placement Driver (PD)");
  log.info("util.go:43", "PD", { "release-version": PD_VERSION });
  log.info("server.go:257", "PD config", { name: flags.name, "initial-cluster": flags.initialCluster });
  const fatal = (error: unknown) => {
    log.fatal("main.go:295", "run server failed", {
      error: errorText(error),
    });
    process.exit(1);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  try {
    const self =
      process.env["NODE_NAME"] ?? nodeName(process.env, new URL(flags.advertiseClientUrl).host) ?? flags.name;
    const rules = openLinkRules(process.env, { self, clock: systemClock, log: logOfNode(log, "link.go:1") });
    const timeFactor = Number(process.env["TIME_FACTOR"] ?? "1");
    const random = seededRandom(randomBytes(8).toString("hex"));
    const server = await startPd(flags, { clock: systemClock, random, log, rules, timeFactor, onFatal: fatal });
    const leave = (name: string) => {
      log.info("main.go:270", "Got signal to exit", { signal: name });
      server.leave().then(() => process.exit(0), fatal);
    };
    for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(name, leave);
  } catch (error) {
    fatal(error);
  }
}

function readFlags(): PdFlags {
  try {
    return parsePdFlags(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof HarnessError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}

await main();
