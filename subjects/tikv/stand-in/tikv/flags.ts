import { ConfigError } from "../../../../harness/base/errors.ts";
import { sizeBytes, sizeText } from "./config/readable.ts";

/** What the command line says; null where it says nothing. */
export interface TikvFlags {
  readonly addr: string | null;
  readonly advertiseAddr: string | null;
  readonly statusAddr: string | null;
  readonly advertiseStatusAddr: string | null;
  readonly dataDir: string | null;
  readonly pdEndpoints: readonly string[] | null;
  readonly labels: Readonly<Record<string, string>> | null;
  /** As the configuration writes sizes. */
  readonly capacity: string | null;
  readonly configFile: string | null;
  readonly logLevel: string | null;
  readonly logFile: string | null;
  /** Say it and leave. */
  readonly only: "version" | "help" | "config-check" | "config-info" | "print-sample-config" | null;
}

interface Flag {
  readonly short?: string;
  readonly aliases?: readonly string[];
  /** Absent: it takes no value. */
  readonly value?: string;
  readonly oneOf?: readonly string[];
  readonly help: string;
}

const LEVELS = ["trace", "debug", "info", "warn", "warning", "error", "critical", "fatal"];

/** tikv/tikv:cmd/tikv-server/src/main.rs */
const FLAGS: Readonly<Record<string, Flag>> = {
  addr: { short: "A", value: "IP:PORT", help: "Set the listening address" },
  "advertise-addr": { value: "IP:PORT", help: "Set the advertise listening address for client communication" },
  "advertise-status-addr": {
    value: "IP:PORT",
    help: "Set the advertise listening address for the client communication of status report service",
  },
  capacity: { value: "CAPACITY", help: "Set the store capacity" },
  config: { short: "C", value: "FILE", help: "Set the configuration file" },
  "config-check": { help: "Check config file validity and exit" },
  "config-info": { value: "FORMAT", oneOf: ["json"], help: "print configuration information with specified format" },
  "data-dir": { short: "s", aliases: ["store"], value: "PATH", help: "Set the directory used to store data" },
  help: { short: "h", help: "Prints help information" },
  labels: { aliases: ["label"], value: "KEY=VALUE", help: "Sets server labels" },
  "log-file": { short: "f", value: "FILE", help: "Sets log file" },
  "log-level": { short: "L", aliases: ["log"], value: "LEVEL", oneOf: LEVELS, help: "Set the log level" },
  "metrics-addr": { value: "IP:PORT", help: "Sets Prometheus Pushgateway address" },
  "pd-endpoints": { aliases: ["pd", "pd-endpoint"], value: "PD_URL", help: "Sets PD endpoints" },
  "print-sample-config": { help: "Print a sample config to stdout" },
  "status-addr": { value: "IP:PORT", help: "Set the HTTP listening address for the status report service" },
  version: { short: "V", help: "Prints version information" },
};

/**
 * tikv-server's command line.
 * @throws ConfigError with the text that it prints: "error: ..." as its parser says it, or "invalid ...".
 */
export function parseFlags(argv: readonly string[]): TikvFlags {
  const said = read(argv);
  const one = (name: string): string | null => said.get(name)?.at(-1) ?? null;
  const many = (name: string): string[] | null =>
    said.get(name)?.flatMap((text) => text.split(",").filter((part) => part !== "")) ?? null;
  const labels = many("labels");
  const capacity = one("capacity");
  return {
    addr: one("addr"),
    advertiseAddr: one("advertise-addr"),
    statusAddr: one("status-addr"),
    advertiseStatusAddr: one("advertise-status-addr"),
    dataDir: one("data-dir"),
    pdEndpoints: many("pd-endpoints"),
    labels: labels === null ? null : labelsOf(labels),
    capacity: capacity === null ? null : capacityOf(capacity),
    configFile: one("config"),
    logLevel: one("log-level"),
    logFile: one("log-file"),
    only:
      (["help", "version", "print-sample-config", "config-check", "config-info"] as const).find((name) =>
        said.has(name),
      ) ?? null,
  };
}

/** As clap 2 prints it for `--help`. */
export function helpText(version: string): string {
  const rows = Object.entries(FLAGS).map(([name, { short, value, help }]) => {
    const flag = `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` <${value}>`}`;
    return [value === undefined, `    ${flag.padEnd(44)}${help}`] as const;
  });
  const part = (flags: boolean): string => rows.flatMap(([isFlag, row]) => (isFlag === flags ? [row] : [])).join("\n");
  return `TiKV ${version}\nA distributed transactional key-value database powered by Rust and Raft\n\nUSAGE:\n    tikv-server [FLAGS] [OPTIONS]\n\nFLAGS:\n${part(true)}\n\nOPTIONS:\n${part(false)}\n`;
}

function read(argv: readonly string[]): Map<string, string[]> {
  const said = new Map<string, string[]>();
  const words = argv.values();
  for (const word of words) {
    const [typed, attached] = split(word);
    const name = nameOf(typed);
    const flag = name === null ? undefined : FLAGS[name];
    if (name === null || flag === undefined)
      throw usageError(`Found argument '${word}' which wasn't expected, or isn't valid in this context`);
    if (flag.value === undefined) {
      said.set(name, []);
      continue;
    }
    const value = attached ?? words.next().value;
    if (value === undefined)
      throw usageError(`The argument '--${name} <${flag.value}>' requires a value but none was supplied`);
    if (flag.oneOf?.includes(value) === false)
      throw usageError(
        `'${value}' isn't a valid value for '--${name} <${flag.value}>'\n\t[possible values: ${flag.oneOf.toSorted().join(", ")}]\n`,
      );
    said.set(name, [...(said.get(name) ?? []), value]);
  }
  return said;
}

/** `--name=value`, `--name`, `-Cvalue`, `-C=value`, `-C`. */
function split(word: string): readonly [name: string, value: string | null] {
  const long = /^--([^=]+)(?:=(.*))?$/s.exec(word);
  if (long !== null) return [long[1] ?? "", long[2] ?? null];
  const short = /^-([A-Za-z])(?:=?(.+))?$/s.exec(word);
  return short === null ? ["", null] : [`-${short[1]}`, short[2] ?? null];
}

function nameOf(typed: string): string | null {
  const found = Object.entries(FLAGS).find(
    ([name, { short, aliases }]) => name === typed || `-${short}` === typed || aliases?.includes(typed) === true,
  );
  return found?.[0] ?? null;
}

function usageError(what: string): ConfigError {
  return new ConfigError(
    `error: ${what}\n\nUSAGE:\n    tikv-server [FLAGS] [OPTIONS]\n\nFor more information try --help`,
  );
}

function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = "", value, ...more] = pair.split("=");
      if (value === undefined || more.length > 0) throw new ConfigError(`invalid label: ${pair}`);
      return [key, value];
    }),
  );
}

function capacityOf(text: string): string {
  const bytes = sizeBytes(text);
  if (bytes === null) throw new ConfigError(`invalid capacity: ${JSON.stringify(text)} is not a valid size`);
  return sizeText(bytes);
}
