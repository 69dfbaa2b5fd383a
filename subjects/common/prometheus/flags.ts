import { ConfigError } from "../../../harness/base/errors.ts";
import { parseDuration } from "./duration.ts";

export interface Flags {
  readonly configFile: string;
  readonly listenAddress: string;
  readonly storagePath: string;
  readonly retentionMs: number;
  /** What series and samples may take of memory. */
  readonly maxBytes: number;
  readonly lookbackMs: number;
  readonly queryTimeoutMs: number;
  readonly maxQuerySamples: number;
  /** All of them as text, by name, as `/api/v1/status/flags` shows them. */
  readonly all: Readonly<Record<string, string>>;
}

/** Real Prometheus' flags that mean something here, with its defaults. */
const DEFAULTS: Readonly<Record<string, string>> = {
  "config.file": "prometheus.yml",
  "web.listen-address": "0.0.0.0:9090",
  "storage.tsdb.path": "data/",
  "storage.tsdb.retention.time": "15d",
  // There it bounds the disk and is off by default; here everything is in memory.
  "storage.tsdb.retention.size": "64MB",
  "query.lookback-delta": "5m",
  "query.timeout": "2m",
  "query.max-samples": "50000000",
};

/** `--name=value` or `--name value`. @throws ConfigError naming what is unknown or wrong. */
export function readFlags(argv: readonly string[]): Flags {
  const values = new Map(Object.entries(DEFAULTS));
  for (let index = 0; index < argv.length; index++) {
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/.exec(argv[index] ?? "") ?? [];
    if (name === undefined) throw new ConfigError(`Error parsing command line arguments: unexpected ${argv[index]}`);
    if (!values.has(name)) throw new ConfigError(`Error parsing command line arguments: unknown long flag '--${name}'`);
    const value = inline ?? argv[++index];
    if (value === undefined)
      throw new ConfigError(`Error parsing command line arguments: expected argument for flag '--${name}'`);
    values.set(name, value);
  }
  const of = (name: string) => values.get(name) ?? "";
  const durationOf = (name: string): number => {
    const ms = parseDuration(of(name));
    if (ms === null || ms === 0) throw new ConfigError(`${name}: not a valid duration string: "${of(name)}"`);
    return ms;
  };
  const maxBytes = parseSize(of("storage.tsdb.retention.size"));
  if (maxBytes === null)
    throw new ConfigError(`storage.tsdb.retention.size: not a size in bytes: "${of("storage.tsdb.retention.size")}"`);
  const maxQuerySamples = Number(of("query.max-samples"));
  if (!Number.isInteger(maxQuerySamples) || maxQuerySamples <= 0)
    throw new ConfigError(`query.max-samples: not a positive integer: "${of("query.max-samples")}"`);
  return {
    configFile: of("config.file"),
    listenAddress: of("web.listen-address"),
    storagePath: of("storage.tsdb.path"),
    retentionMs: durationOf("storage.tsdb.retention.time"),
    maxBytes,
    lookbackMs: durationOf("query.lookback-delta"),
    queryTimeoutMs: durationOf("query.timeout"),
    maxQuerySamples,
    all: Object.fromEntries(values),
  };
}

const SIZES = ["B", "KB", "MB", "GB", "TB"];

/** `64MB`, by powers of 1024 as Prometheus' `units.Base2Bytes`; null for anything else, and for nothing at all. */
function parseSize(text: string): number | null {
  const [, number, unit = ""] = /^(\d+)(B|KB|MB|GB|TB)$/.exec(text) ?? [];
  const bytes = Number(number) * 1_024 ** SIZES.indexOf(unit);
  return bytes > 0 ? bytes : null;
}
