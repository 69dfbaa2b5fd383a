import { parseArgs } from "node:util";
import { ConfigError, errorText } from "../../../../harness/base/errors.ts";

export interface TikvFlags {
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
  readonly configFile: string | null;
  readonly logLevel: string;
  /** Check and leave. */
  readonly only: "version" | "config-check" | null;
}

/** tikv-server's command line (facts §7). @throws ConfigError naming the flag. */
export function parseFlags(argv: readonly string[]): TikvFlags {
  const values = parse(argv);
  const addr = values.addr ?? "127.0.0.1:20160";
  const statusAddr = values["status-addr"] ?? "127.0.0.1:20180";
  return {
    addr,
    advertiseAddr: values["advertise-addr"] ?? addr,
    statusAddr,
    advertiseStatusAddr: values["advertise-status-addr"] ?? statusAddr,
    dataDir: values["data-dir"] ?? "./",
    pdEndpoints: (values["pd-endpoints"] ?? values.pd ?? "127.0.0.1:2379").split(",").filter((text) => text !== ""),
    labels: labelsOf(values.labels),
    capacityBytes: bytesOf(values.capacity),
    configFile: values.config ?? null,
    logLevel: values["log-level"] ?? "info",
    only: values.version === true ? "version" : values["config-check"] === true ? "config-check" : null,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: false,
      options: {
        addr: { type: "string", short: "A" },
        "advertise-addr": { type: "string" },
        "status-addr": { type: "string" },
        "advertise-status-addr": { type: "string" },
        "data-dir": { type: "string", short: "s" },
        "pd-endpoints": { type: "string" },
        pd: { type: "string" },
        labels: { type: "string" },
        capacity: { type: "string" },
        config: { type: "string", short: "C" },
        "config-check": { type: "boolean" },
        "log-level": { type: "string", short: "L" },
        version: { type: "boolean", short: "V" },
      },
    }).values;
  } catch (error) {
    throw new ConfigError(`error: ${errorText(error)}`);
  }
}

function labelsOf(text: string | undefined): Record<string, string> {
  const pairs = (text ?? "").split(",").filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new ConfigError(`invalid label "${pair}": want key=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

const UNITS: Readonly<Record<string, number>> = { "": 1, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `10GB`, `512MiB`, `0`. */
function bytesOf(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  const match = /^(\d+(?:\.\d+)?)\s*(B|([KMGT])(?:i?B)?)?$/i.exec(text);
  const unit = UNITS[(match?.[3] ?? "").toUpperCase()];
  if (match === null || unit === undefined) throw new ConfigError(`invalid capacity "${text}"`);
  return Math.floor(Number(match[1]) * unit);
}
