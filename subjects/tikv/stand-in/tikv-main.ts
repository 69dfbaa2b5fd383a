import { systemClock } from "../../../harness/base/clock.ts";
import { ConfigError, errorText } from "../../../harness/base/errors.ts";
import { seededRandom } from "../../../harness/base/random.ts";
import { parseAddress } from "../../common/link/dial.ts";
import { openLinkRules } from "../../common/link/link-rules.ts";
import { exitWithParent } from "../../common/parent-watch.ts";
import { logOfNode, nodeLog, type NodeLog, type NodeLogLevel } from "./node-log.ts";
import { DataDir } from "./tikv/data-dir.ts";
import { readSettings, type TikvSettings } from "./tikv/settings.ts";
import { GIT_HASH, TikvNode, VERSION } from "./tikv/tikv-node.ts";

const clock = systemClock;
const startedAt = clock.now();

function settingsOrExit(): TikvSettings {
  try {
    return readSettings(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    // A bad flag is refused by the command line's parser, a bad file panics before there is a log.
    process.exit(error instanceof ConfigError && error.message.startsWith("error:") ? 2 : 101);
  }
}

function fatal(log: NodeLog, message: string, fields: Readonly<Record<string, string>> = {}): never {
  log.fatal("server.rs:1064", message, fields);
  process.exit(1);
}

/** Functions alone, as a Rust backtrace without symbols' files: where our sources lie is nobody's business. */
function backtrace(error: unknown): string {
  const frames = error instanceof Error ? (error.stack ?? "").split("\n").slice(1) : [];
  return frames.map((frame, at) => `${at}: ${/at (?:async )?([^\s(/:]+)/.exec(frame)?.[1] ?? "<unknown>"}`).join("\n");
}

async function main(): Promise<void> {
  exitWithParent();
  const settings = settingsOrExit();
  if (settings.only === "version") return void process.stdout.write(`TiKV\nRelease Version:   ${VERSION}\n`);
  if (settings.only === "config-check") return void process.stdout.write("config check successful\n");
  process.title = "tikv-server";
  const level = settings.logLevel.toUpperCase() as NodeLogLevel;
  const log = nodeLog({ clock, write: (line) => process.stderr.write(line), level, threadId: 1 });
  const panic = (error: unknown): never =>
    fatal(log, errorText(error), { backtrace: backtrace(error), thread_name: "main" });
  process.on("uncaughtException", panic);
  process.on("unhandledRejection", panic);
  log.info("lib.rs:92", "Welcome to TiKV");
  log.info("lib.rs:97", `Release Version:   ${VERSION}`);
  log.info("lib.rs:97", `Git Commit Hash:   ${GIT_HASH}`);

  const interrupted = new AbortController();
  const terminated = new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
      process.once(name, () => {
        resolve(name);
        interrupted.abort();
      });
  });
  const name = process.env["NODE_NAME"] ?? parseAddress(settings.advertiseAddr).host;
  try {
    using dataDir = new DataDir(settings.dataDir);
    using rules = openLinkRules(process.env, { self: name, clock, log: logOfNode(log, "net.rs:60") });
    const node = await TikvNode.start(
      {
        settings,
        name,
        dataDir,
        rules,
        clock,
        random: seededRandom(`${name}/${startedAt}/${process.pid}`),
        log,
        timeFactor: Number(process.env["TIME_FACTOR"] ?? "1") || 1,
        startedAt,
        onFatal: panic,
      },
      interrupted.signal,
    );
    log.info("signal_handler.rs:24", `receive signal ${await terminated}, starting graceful shutdown`);
    await node.shutdown();
  } catch (error) {
    if (interrupted.signal.aborted) process.exit(0);
    fatal(log, `failed to start node: ${errorText(error)}`);
  }
  process.exit(0);
}

await main();
