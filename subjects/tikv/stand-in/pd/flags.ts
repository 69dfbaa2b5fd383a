import { parseArgs } from "node:util";
import { ConfigError } from "../../../../harness/base/errors.ts";
import { parseAddress } from "../../../common/link/dial.ts";

export interface PdFlags {
  readonly name: string;
  readonly dataDir: string;
  readonly clientUrl: string;
  readonly advertiseClientUrl: string;
  readonly peerUrl: string;
  readonly advertisePeerUrl: string;
  readonly initialCluster: string;
  readonly peers: readonly { readonly name: string; readonly peerUrl: string }[];
  readonly configFile: string | null;
  readonly logFile: string | null;
  readonly logLevel: string;
  /** Ours: into how many regions the key space is cut after bootstrap. */
  readonly initialRegions: number;
}

const OPTIONS = {
  name: { type: "string", default: "pd" },
  "data-dir": { type: "string" },
  "client-urls": { type: "string", default: "http://127.0.0.1:2379" },
  "advertise-client-urls": { type: "string" },
  "peer-urls": { type: "string", default: "http://127.0.0.1:2380" },
  "advertise-peer-urls": { type: "string" },
  "initial-cluster": { type: "string" },
  config: { type: "string" },
  "log-file": { type: "string" },
  L: { type: "string", short: "L", default: "info" },
  "initial-regions": { type: "string" },
} as const;

/** The flags of pd-server, `--flag=value`, `--flag value` or with one dash. @throws ConfigError */
export function parsePdFlags(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): PdFlags {
  const args = argv.map((arg) => (/^-[a-z][a-z-]+/.test(arg) ? `-${arg}` : arg));
  let values;
  try {
    values = parseArgs({ args, options: OPTIONS, strict: true }).values;
  } catch (cause) {
    throw new ConfigError(`parse cmd flags error: ${(cause as Error).message}`, { cause });
  }
  const peerUrl = first(values["peer-urls"]);
  const advertisePeerUrl = first(values["advertise-peer-urls"] ?? peerUrl);
  const clientUrl = first(values["client-urls"]);
  const initialCluster = values["initial-cluster"] ?? `${values.name}=${advertisePeerUrl}`;
  const regions = Number(values["initial-regions"] ?? env["INITIAL_REGIONS"] ?? "12");
  if (!Number.isInteger(regions) || regions < 1 || regions > 256)
    throw new ConfigError("initial-regions is a number from 1 to 256");
  return {
    name: values.name,
    dataDir: values["data-dir"] ?? `default.${values.name}`,
    clientUrl,
    advertiseClientUrl: first(values["advertise-client-urls"] ?? clientUrl),
    peerUrl,
    advertisePeerUrl,
    initialCluster,
    peers: parsePeers(initialCluster),
    configFile: values.config ?? null,
    logFile: values["log-file"] ?? null,
    logLevel: values.L,
    initialRegions: regions,
  };
}

function parsePeers(text: string): { name: string; peerUrl: string }[] {
  return text.split(",").map((item) => {
    const [name, peerUrl] = item.split("=");
    if (name === undefined || name === "" || peerUrl === undefined)
      throw new ConfigError(`initial-cluster: "${item}" is not name=url`);
    parseAddress(peerUrl);
    return { name, peerUrl };
  });
}

/** Several URLs may be given; the first one counts. */
function first(urls: string): string {
  return urls.split(",")[0] ?? urls;
}
