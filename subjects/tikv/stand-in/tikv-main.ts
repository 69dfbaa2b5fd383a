import { systemClock } from "../../../harness/base/clock.ts";
import { ConfigError, errorText } from "../../../harness/base/errors.ts";
import { seededRandom } from "../../../harness/base/random.ts";
import { parseAddress } from "../../common/link/dial.ts";
import { openLinkRules } from "../../common/link/link-rules.ts";
import { exitWithParent } from "../../common/parent-watch.ts";
import { logFile } from "./log-file.ts";
import { logOfNode, namedLevel, nodeLog, type AdjustableNodeLog, type NodeLog } from "./node-log.ts";
import { ConfigController } from "./tikv/config/controller.ts";
import { itemAt } from "./tikv/config/tree.ts";
import { DataDir } from "./tikv/data-dir.ts";
import { lastConfigFile } from "./tikv/last-config.ts";
import { saidOnly } from "./tikv/said-only.ts";
import { checkStart } from "./tikv/start-check.ts";
import { ConfigPanic, readSettings, type TikvSettings } from "./tikv/settings.ts";
import { GIT_HASH, TikvNode, VERSION } from "./tikv/tikv-node.ts";

const clock = systemClock;
const startedAt = clock.now();

/** As a Rust program ends that panics before it has a log. */
function panicEarly(message: string): never {
  process.stderr.write(
    `thread 'main' panicked at cmd/tikv-server/src/main.rs:217:17:\n${message}\nnote: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace\n`,
  );
  process.exit(101);
}

function settingsOrExit(): TikvSettings {
  try {
    return readSettings(process.argv.slice(2));
  } catch (error) {
    if (error instanceof ConfigPanic) panicEarly(error.message);
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
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

/** To the file that the configuration names, else to stderr. */
function openLog({ config }: TikvSettings): AdjustableNodeLog {
  const path = String(itemAt(config, "log.file.filename"));
  const maxBytes = Number(itemAt(config, "log.file.max-size")) * 2 ** 20;
  const maxBackups = Number(itemAt(config, "log.file.max-backups"));
  return nodeLog({
    clock,
    write: path === "" ? (line) => process.stderr.write(line) : logFile({ path, maxBytes, maxBackups, clock }),
    level: namedLevel(String(itemAt(config, "log.level"))) ?? "INFO",
    threadId: 1,
    json: itemAt(config, "log.format") === "json",
  });
}

async function main(): Promise<void> {
  exitWithParent();
  const settings = settingsOrExit();
  if (settings.only !== null) {
    const { text, code } = saidOnly(settings, VERSION, GIT_HASH);
    (code === 0 ? process.stdout : process.stderr).write(text);
    return void (process.exitCode = code);
  }
  process.title = "tikv-server";
  const log = openLog(settings);
  const panic = (error: unknown): never =>
    fatal(log, errorText(error), { backtrace: backtrace(error), location: "<unknown>", thread_name: "main" });
  process.on("uncaughtException", panic);
  process.on("unhandledRejection", panic);
  log.info("lib.rs:92", "Welcome to TiKV");
  log.info("lib.rs:97", `Release Version:   ${VERSION}`);
  log.info("lib.rs:97", "Edition:           Community");
  log.info("lib.rs:97", `Git Commit Hash:   ${GIT_HASH}`);
  const refused = checkStart(settings, log);
  if (refused !== null) fatal(log, refused);

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
    const config = new ConfigController(settings.config, settings.configFile ?? lastConfigFile(settings.dataDir));
    config.onChange((changed) => {
      if (changed.includes("log.level")) log.setLevel(namedLevel(config.text("log.level")) ?? "INFO");
    });
    const node = await TikvNode.start(
      {
        settings,
        config,
        name,
        dataDir,
        rules,
        clock,
        random: seededRandom(`${name}/${startedAt}/${process.pid}`),
        log,
        argv: process.argv.slice(2),
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
