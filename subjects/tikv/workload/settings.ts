import { parseArgs } from "node:util";
import { z } from "zod";
import { ConfigError } from "../../../harness/base/errors.ts";
import type { WorkloadOptions } from "../../../harness/protocol.ts";
import { OWN_KEY_PREFIX } from "./keys.ts";

const commaList = z
  .string()
  .transform((text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  )
  .pipe(z.array(z.string()).min(1));

const jsonMap = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: "custom", message: "not JSON" });
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), z.string()));

const schema = z.object({
  /** `host:port` or URLs, comma separated; mapped through ADVERTISED too. */
  PD_ENDPOINTS: commaList,
  /** JSON object: address that the cluster advertises -> address to dial from here. */
  ADVERTISED: jsonMap.default({}),
  SEED: z.coerce.number().int().default(1),
  RATE: z.coerce.number().positive().max(20_000).default(50),
  CLIENTS: z.coerce.number().int().positive().max(1_000).default(8),
  KEY_PREFIX: z.string().min(1).default(OWN_KEY_PREFIX),
  DEADLINE_MS: z.coerce.number().int().positive().default(2_000),
  /** `host:port` of the HTTP side. */
  LISTEN: z
    .string()
    .regex(/^.+:\d+$/, "must be host:port")
    .default("0.0.0.0:9300"),
  /** With one, only /ready and /metrics answer those who do not send it as a bearer. */
  CONTROL_TOKEN: z.string().min(16).optional(),
});

export interface WorkloadSettings extends WorkloadOptions {
  readonly pdEndpoints: readonly string[];
  readonly advertised: Readonly<Record<string, string>>;
  readonly listen: string;
  readonly controlToken?: string | undefined;
}

/**
 * Reads `--pd-endpoints=... --rate=...` or the environment variables of the same names in capitals; flags win.
 *
 * @throws ConfigError naming every setting that is wrong, and unknown flags.
 */
export function readSettings(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): WorkloadSettings {
  const names = Object.keys(schema.shape);
  const options = Object.fromEntries(names.map((name) => [flagOf(name), { type: "string" as const }]));
  let flags: Record<string, unknown>;
  try {
    flags = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new ConfigError(`workload: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const given = Object.fromEntries(
    names.map((name) => [name, flags[flagOf(name)] ?? (env[name] === "" ? undefined : env[name])]),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw new ConfigError(`workload settings\n${z.prettifyError(parsed.error)}`);
  const s = parsed.data;
  return {
    pdEndpoints: s.PD_ENDPOINTS,
    advertised: s.ADVERTISED,
    listen: s.LISTEN,
    seed: s.SEED,
    ratePerSecond: s.RATE,
    clients: s.CLIENTS,
    keyPrefix: s.KEY_PREFIX,
    deadlineMs: s.DEADLINE_MS,
    controlToken: s.CONTROL_TOKEN,
  };
}

/** What an adapter sets to start the program, as a process or as a container. */
export function workloadEnvironment(settings: WorkloadSettings): Record<string, string> {
  return {
    PD_ENDPOINTS: settings.pdEndpoints.join(","),
    ADVERTISED: JSON.stringify(settings.advertised),
    SEED: String(settings.seed),
    RATE: String(settings.ratePerSecond),
    CLIENTS: String(settings.clients),
    KEY_PREFIX: settings.keyPrefix,
    DEADLINE_MS: String(settings.deadlineMs),
    LISTEN: settings.listen,
    ...(settings.controlToken === undefined ? {} : { CONTROL_TOKEN: settings.controlToken }),
  };
}

function flagOf(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}
