import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ConfigError, errorText } from "../../../../harness/base/errors.ts";
import { DEFAULTS } from "./config/defaults.ts";
import { sizeBytes, sizeText } from "./config/readable.ts";
import { isTable, itemAt, mergedConfig, parseConfig, withItem, type ConfigTree } from "./config/tree.ts";
import { parseFlags, type TikvFlags } from "./flags.ts";
import { memoryLimitBytes } from "./machine.ts";

export interface TikvSettings {
  readonly addr: string;
  readonly advertiseAddr: string;
  /** Empty = no status server. */
  readonly statusAddr: string;
  readonly advertiseStatusAddr: string;
  readonly dataDir: string;
  readonly pdEndpoints: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Bytes; 0 = what the disk has. */
  readonly capacityBytes: number;
  /** Bytes to keep free; 0 = the disk is not watched. */
  readonly reserveBytes: number;
  /** Say it and leave. */
  readonly only: TikvFlags["only"];
  /** Everything, as `GET /config` shows it at first. */
  readonly config: ConfigTree;
  /** Null = none was given. */
  readonly configFile: string | null;
  /** Keys of the file that are none; ignored without a word, but for `--config-check`. */
  readonly unknownKeys: readonly string[];
}

/** The configuration file cannot be used at all: the program panics before there is a log. */
export class ConfigPanic extends ConfigError {}

/** Flags over configuration file over defaults. @throws ConfigError as `parseFlags`; ConfigPanic naming the file */
export function readSettings(argv: readonly string[]): TikvSettings {
  const flags = parseFlags(argv);
  const file = flags.configFile === null ? { tree: {}, unknown: [] } : readFile(flags.configFile);
  const config = filledIn(withFlags(mergedConfig(DEFAULTS, withOldNames(file.tree)), flags));
  const text = (path: string): string => String(itemAt(config, path) ?? "");
  const labels = itemAt(config, "server.labels");
  return {
    addr: text("server.addr"),
    advertiseAddr: text("server.advertise-addr"),
    statusAddr: text("server.status-addr"),
    advertiseStatusAddr: text("server.advertise-status-addr"),
    dataDir: text("storage.data-dir"),
    pdEndpoints: (itemAt(config, "pd.endpoints") as readonly unknown[]).map(String),
    labels: Object.fromEntries(
      Object.entries(isTable(labels) ? labels : {}).map(([key, value]) => [key, String(value)]),
    ),
    capacityBytes: sizeBytes(text("raftstore.capacity")) ?? 0,
    reserveBytes: sizeBytes(text("storage.reserve-space")) ?? 0,
    only: flags.only,
    config,
    configFile: flags.configFile,
    unknownKeys: file.unknown,
  };
}

function readFile(path: string): ReturnType<typeof parseConfig> {
  try {
    return parseConfig(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ConfigPanic(`invalid auto generated configuration file ${path}, err ${errorText(cause)}`, { cause });
  }
}

const OLD_NAMES: Readonly<Record<string, string>> = {
  "log-level": "log.level",
  "log-file": "log.file.filename",
  "log-format": "log.format",
};

function withOldNames(tree: ConfigTree): ConfigTree {
  let result = tree;
  for (const [old, path] of Object.entries(OLD_NAMES)) {
    if (result[old] !== undefined && itemAt(result, path) === undefined) result = withItem(result, path, result[old]);
    result = Object.fromEntries(Object.entries(result).filter(([key]) => key !== old));
  }
  return result;
}

function withFlags(tree: ConfigTree, flags: TikvFlags): ConfigTree {
  const said: readonly (readonly [path: string, value: unknown])[] = [
    ["log.level", flags.logLevel === "warning" ? "warn" : flags.logLevel],
    ["log.file.filename", flags.logFile],
    ["server.addr", flags.addr],
    ["server.advertise-addr", flags.advertiseAddr],
    ["server.status-addr", flags.statusAddr],
    ["server.advertise-status-addr", flags.advertiseStatusAddr],
    ["server.labels", flags.labels],
    ["storage.data-dir", flags.dataDir],
    ["pd.endpoints", flags.pdEndpoints],
    ["raftstore.capacity", flags.capacity],
  ];
  return said.reduce((all, [path, value]) => (value === null ? all : withItem(all, path, value)), tree);
}

/** What follows from other items and from the machine (tikv/tikv:src/config/mod.rs, `validate`). */
function filledIn(tree: ConfigTree): ConfigTree {
  const text = (path: string): string => String(itemAt(tree, path) ?? "");
  const memory = memoryLimitBytes();
  const cores = availableParallelism();
  const derived: readonly (readonly [path: string, unset: unknown, value: unknown])[] = [
    ["server.advertise-addr", "", text("server.addr")],
    ["server.advertise-status-addr", "", text("server.status-addr")],
    ["raftstore.raftdb-path", "", join(text("storage.data-dir"), "raft")],
    ["raft-engine.dir", "", join(text("storage.data-dir"), "raft-engine")],
    ["memory-usage-limit", "0KiB", sizeText(Math.floor(memory * 0.75))],
    ["storage.block-cache.capacity", "0KiB", sizeText(Math.floor(memory * 0.45))],
    [
      "readpool.unified.max-thread-count",
      DEFAULTS.readpool.unified["max-thread-count"],
      Math.max(4, Math.floor(cores * 0.8)),
    ],
  ];
  return derived.reduce(
    (all, [path, unset, value]) => (itemAt(tree, path) === unset ? withItem(all, path, value) : all),
    tree,
  );
}
