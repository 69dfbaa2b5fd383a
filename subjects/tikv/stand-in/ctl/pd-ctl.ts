import { parseArgs } from "node:util";
import { ConfigError } from "../../../../harness/base/errors.ts";

export interface CtlRequest {
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
}

const API = "/pd/api/v1";
const DEFAULT_URL = "http://127.0.0.1:2379";

/** Sub-command, as typed, to path; `#` stands for a number. */
const COMMANDS: readonly (readonly [command: string, path: string])[] = [
  ["store", "/stores"],
  ["store #", "/store/#"],
  ["member", "/members"],
  ["member leader show", "/leader"],
  ["health", "/health"],
  ["ping", "/ping"],
  ["cluster", "/cluster"],
  ["cluster status", "/cluster/status"],
  ["region", "/regions"],
  ["region #", "/region/id/#"],
  ["region store #", "/regions/store/#"],
  ["region check miss-peer", "/regions/check/miss-peer"],
  ["region check down-peer", "/regions/check/down-peer"],
  ["region check pending-peer", "/regions/check/pending-peer"],
  ["region check offline-peer", "/regions/check/offline-peer"],
  ["region check extra-peer", "/regions/check/extra-peer"],
  ["config show", "/config"],
  ["config show schedule", "/config/schedule"],
  ["config show replication", "/config/replicate"],
  ["scheduler show", "/schedulers"],
  ["operator show", "/operators"],
];

/** What `pd-ctl [-u URL] <sub-command>` asks. @throws ConfigError for what is not a sub-command that reads. */
export function ctlRequest(argv: readonly string[]): CtlRequest {
  const { values, positionals } = parse(argv);
  const url = values.pd.split(",")[0] ?? DEFAULT_URL;
  const number = positionals.find((word) => /^\d+$/.test(word)) ?? "#";
  const typed = positionals.map((word) => (word === number ? "#" : word)).join(" ");
  const found = COMMANDS.find(([command]) => command === typed);
  if (found === undefined)
    throw new ConfigError(`unknown command "${positionals.join(" ")}" for "pd-ctl"; here it knows:\n${known()}`);
  return { address: url.replace(/^https?:\/\//, "").replace(/\/.*$/, ""), path: API + found[1].replace("#", number) };
}

/** Two spaces a level, without parsing: ids do not fit a number. */
export function indented(json: string): string {
  let depth = 0;
  let text = "";
  for (const part of json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g) ?? []) {
    const line = (): string => `\n${"  ".repeat(depth)}`;
    if ("{[".includes(part)) {
      depth++;
      text += part + line();
    } else if ("}]".includes(part)) {
      depth--;
      text = /[{[]\s*$/.test(text) ? text.trimEnd() + part : text + line() + part;
    } else text += part === "," ? part + line() : part === ":" ? ": " : part;
  }
  return `${text}\n`;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: { pd: { type: "string", short: "u", default: DEFAULT_URL } },
      allowPositionals: true,
    });
  } catch (cause) {
    throw new ConfigError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

const known = (): string => COMMANDS.map(([command]) => `  ${command.replace("#", "<id>")}`).join("\n");
