import { ConfigError } from "../../../harness/base/errors.ts";
import { parseDuration } from "./duration.ts";

export interface Flags {
  readonly configFile: string;
  readonly listenAddress: string;
  readonly storagePath: string;
  readonly retentionMs: number;
}

/** Real Prometheus' flags that mean something here, with its defaults. */
const DEFAULTS: Readonly<Record<string, string>> = {
  "config.file": "prometheus.yml",
  "web.listen-address": "0.0.0.0:9090",
  "storage.tsdb.path": "data/",
  "storage.tsdb.retention.time": "15d",
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
  const retentionMs = parseDuration(of("storage.tsdb.retention.time"));
  if (retentionMs === null || retentionMs === 0)
    throw new ConfigError(
      `storage.tsdb.retention.time: not a valid duration string: "${of("storage.tsdb.retention.time")}"`,
    );
  return {
    configFile: of("config.file"),
    listenAddress: of("web.listen-address"),
    storagePath: of("storage.tsdb.path"),
    retentionMs,
  };
}
