import { parseArgs } from "node:util";
import { ConfigError } from "../../../../harness/base/errors.ts";
import type { Answer } from "./ask.ts";
import { indented } from "./pd-ctl.ts";

/** GET `path` of `address` as typed. */
type Ask = (address: string, path: string) => Promise<Answer>;

type Command = (options: {
  readonly store: string;
  readonly region: string | null;
  readonly ask: Ask;
}) => Promise<string>;

const DEFAULT_HOST = "127.0.0.1:20160";
const STATUS_PORT = "20180";

/**
 * The sub-commands of the real one that only read and that a store's status port and PD can answer truthfully, with the
 * same output (tikv/tikv:cmd/tikv-ctl/src/executor.rs). The real one asks the store over gRPC.
 */
const COMMANDS: Readonly<Record<string, Command>> = {
  metrics: async ({ store, ask }) => `tag:prometheus\nmetrics:${await get(ask, store, "/metrics")}\n`,
  store: async ({ store, ask }) => {
    const config = await get(ask, store, "/config");
    const address = /"advertise-addr":"([^"]+)"/.exec(config)?.[1] ?? "";
    const version = /"api-version":(\d)/.exec(config)?.[1] ?? "1";
    const stores = await askPd(config, "/pd/api/v1/stores", ask);
    const found = (JSON.parse(stores) as StoresReply).stores.find((one) => one.store.address === address);
    if (found === undefined) throw new Error(`PD knows no store at ${address}`);
    return `store id: ${found.store.id}\napi version: V${version}\n`;
  },
  cluster: async ({ store, ask }) => {
    const cluster = await askPd(await get(ask, store, "/config"), "/pd/api/v1/cluster", ask);
    return `cluster id: ${/"id":\s*(\d+)/.exec(cluster)?.[1] ?? "unknown"}\n`;
  },
  "raft region": async ({ store, region, ask }) => {
    if (region === null) throw new ConfigError("raft region: -r <region id> is wanted here");
    const meta = await get(ask, store, `/region/${region}`);
    return indented(`{"region_infos":{"${region}":{"region_id":${region},"region_meta":${meta}}}}`);
  },
};

interface StoresReply {
  readonly stores: readonly { readonly store: { readonly id: number; readonly address: string } }[];
}

/**
 * What `tikv-ctl [--host ADDR] <sub-command>` prints.
 * @throws ConfigError for what is not a sub-command that reads; what the store or PD answered otherwise
 */
export async function tikvCtl(argv: readonly string[], ask: Ask): Promise<string> {
  const { values, positionals } = parse(argv);
  const command = COMMANDS[positionals.join(" ")];
  if (command === undefined) {
    const known = Object.keys(COMMANDS).map((name) => `  ${name}`);
    throw new ConfigError(
      `unknown command "${positionals.join(" ")}" for "tikv-ctl"; here it knows:\n${known.join("\n")}`,
    );
  }
  return command({ store: statusOf(values.host), region: regionOf(values.region), ask });
}

/** A store's status port is beside its port for clients. */
function statusOf(host: string): string {
  return host.replace(/:20160$/, `:${STATUS_PORT}`);
}

function regionOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!/^\d+$/.test(text)) throw new ConfigError(`"${text}" is no region id`);
  return text;
}

/** The first member that answers; a store knows them all. */
async function askPd(config: string, path: string, ask: Ask): Promise<string> {
  const endpoints = (JSON.parse(/"endpoints":(\[[^\]]*\])/.exec(config)?.[1] ?? "[]") as string[]).map((url) =>
    url.replace(/^https?:\/\//, ""),
  );
  let last: unknown = new Error("the store knows no PD");
  for (const endpoint of endpoints) {
    try {
      return await get(ask, endpoint, path);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

async function get(ask: Ask, address: string, path: string): Promise<string> {
  const { status, body } = await ask(address, path);
  if (status !== 200) throw new Error(`[${status}] ${body}`);
  return body;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: { host: { type: "string", default: DEFAULT_HOST }, region: { type: "string", short: "r" } },
      allowPositionals: true,
    });
  } catch (cause) {
    throw new ConfigError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
