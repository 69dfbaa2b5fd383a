import { parseArgs } from "node:util";
import { ConfigError, errorText } from "../../../../harness/base/errors.ts";

/** What the command line says; null where it says nothing. */
export interface TikvFlags {
  readonly addr: string | null;
  readonly advertiseAddr: string | null;
  readonly statusAddr: string | null;
  readonly advertiseStatusAddr: string | null;
  readonly dataDir: string | null;
  readonly pdEndpoints: readonly string[] | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly capacityBytes: number | null;
  readonly configFile: string | null;
  readonly logLevel: string | null;
  readonly only: "version" | "config-check" | null;
}

/** tikv-server's command line (facts §7). @throws ConfigError naming the flag. */
export function parseFlags(argv: readonly string[]): TikvFlags {
  const values = parse(argv);
  const endpoints = values["pd-endpoints"] ?? values.pd;
  return {
    addr: values.addr ?? null,
    advertiseAddr: values["advertise-addr"] ?? null,
    statusAddr: values["status-addr"] ?? null,
    advertiseStatusAddr: values["advertise-status-addr"] ?? null,
    dataDir: values["data-dir"] ?? null,
    pdEndpoints: endpoints?.split(",").filter((text) => text !== "") ?? null,
    labels: values.labels === undefined ? null : labelsOf(values.labels),
    capacityBytes: values.capacity === undefined ? null : bytesOf(values.capacity),
    configFile: values.config ?? null,
    logLevel: values["log-level"] ?? null,
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

function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(",").filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new ConfigError(`invalid label "${pair}": want key=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

const UNITS: Readonly<Record<string, number>> = { "": 1, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `10GB`, `512MiB`, `0`. @throws ConfigError */
export function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(B|([KMGT])(?:i?B)?)?$/i.exec(text);
  const unit = UNITS[(match?.[3] ?? "").toUpperCase()];
  if (match === null || unit === undefined) throw new ConfigError(`invalid capacity "${text}"`);
  return Math.floor(Number(match[1]) * unit);
}
