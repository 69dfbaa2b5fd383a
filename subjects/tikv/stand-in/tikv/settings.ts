import { readFileSync } from "node:fs";
import { parse as parseToml } from "smol-toml";
import { z } from "zod";
import { ConfigError, errorText } from "../../../../harness/base/errors.ts";
import { bytesOf, parseFlags, type TikvFlags } from "./flags.ts";

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
  readonly logLevel: string;
  /** Check and leave. */
  readonly only: TikvFlags["only"];
  /** What `/config` shows. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/** Only what is acted on; unknown keys are ignored without a word, as the real one does. */
const fileSchema = z.object({
  "log-level": z.string().optional(),
  log: z.object({ level: z.string().optional() }).optional(),
  server: z
    .object({
      addr: z.string().optional(),
      "advertise-addr": z.string().optional(),
      "status-addr": z.string().optional(),
      "advertise-status-addr": z.string().optional(),
      labels: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  storage: z.object({ "data-dir": z.string().optional() }).optional(),
  pd: z.object({ endpoints: z.array(z.string()).optional() }).optional(),
  raftstore: z.object({ capacity: z.union([z.string(), z.number()]).optional() }).optional(),
});

/** Flags over configuration file over defaults. @throws ConfigError naming flag or file. */
export function readSettings(argv: readonly string[]): TikvSettings {
  const flags = parseFlags(argv);
  const raw = flags.configFile === null ? {} : readToml(flags.configFile);
  const checked = fileSchema.safeParse(raw);
  if (!checked.success)
    throw new ConfigError(`invalid configuration file ${flags.configFile}: ${z.prettifyError(checked.error)}`);
  const { server, storage, pd, raftstore, log, "log-level": oldLevel } = checked.data;
  const addr = flags.addr ?? server?.addr ?? "127.0.0.1:20160";
  const statusAddr = flags.statusAddr ?? server?.["status-addr"] ?? "127.0.0.1:20180";
  const settings = {
    addr,
    advertiseAddr: flags.advertiseAddr ?? server?.["advertise-addr"] ?? addr,
    statusAddr,
    advertiseStatusAddr: flags.advertiseStatusAddr ?? server?.["advertise-status-addr"] ?? statusAddr,
    dataDir: flags.dataDir ?? storage?.["data-dir"] ?? "./",
    pdEndpoints: flags.pdEndpoints ?? pd?.endpoints ?? ["127.0.0.1:2379"],
    labels: flags.labels ?? server?.labels ?? {},
    capacityBytes: flags.capacityBytes ?? bytesOf(String(raftstore?.capacity ?? "0")),
    logLevel: flags.logLevel ?? log?.level ?? oldLevel ?? "info",
    only: flags.only,
  };
  return { ...settings, shown: merged(defaults(settings), raw) };
}

function readToml(path: string): Record<string, unknown> {
  try {
    return parseToml(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError(`invalid auto generated configuration file ${path}, err ${errorText(error)}`);
  }
}

function defaults(settings: Omit<TikvSettings, "shown">): Record<string, unknown> {
  return {
    log: { level: settings.logLevel, format: "text" },
    server: {
      addr: settings.addr,
      "advertise-addr": settings.advertiseAddr,
      "status-addr": settings.statusAddr,
      "advertise-status-addr": settings.advertiseStatusAddr,
      labels: settings.labels,
    },
    storage: { "data-dir": settings.dataDir, "api-version": 1 },
    pd: { endpoints: settings.pdEndpoints, "retry-interval": "300ms" },
    raftstore: {
      capacity: `${settings.capacityBytes}B`,
      "raft-base-tick-interval": "1s",
      "raft-heartbeat-ticks": 2,
      "raft-election-timeout-ticks": 10,
      "pd-heartbeat-tick-interval": "1m",
      "pd-store-heartbeat-tick-interval": "10s",
      "max-peer-down-duration": "10m",
      prevote: true,
    },
  };
}

function merged(base: Record<string, unknown>, over: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTable(below) && isTable(value) ? merged(below, value) : value;
  }
  return result;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
