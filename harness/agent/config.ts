import { homedir, hostname } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "../base/errors.ts";
import { saidSettings, settingSentence } from "../base/program-settings.ts";
import { SAFETY_MODES } from "../base/safety-mode.ts";
import { readSettings } from "../control/settings.ts";
import type { Endpoints, InstanceId } from "../protocol.ts";
import { defaultLimits } from "./limits.ts";

/** The operators that this program can be. */
export const AGENT_OPERATORS = ["runbook", "claude", "human", "external", "noop", "restart-everything"] as const;

/** Every setting: its flag, its variable, and what it must look like. A flag wins over its variable. */
const SETTINGS = {
  "pd-urls": "PD_URLS",
  "prometheus-url": "PROMETHEUS_URL",
  instance: "INSTANCE_ID",
  engine: "ENGINE",
  network: "NETWORK",
  endpoints: "ENDPOINTS",
  operator: "OPERATOR",
  "safety-mode": "OPERATOR_SAFETY_MODE",
  model: "MODEL",
  runbooks: "RUNBOOK_DIRS",
  "door-dir": "DOOR_DIR",
  "max-turns": "MAX_TURNS",
  "max-minutes": "MAX_MINUTES",
  "max-usd": "MAX_USD",
  "max-output-tokens": "MAX_OUTPUT_TOKENS",
  "lease-seconds": "LEASE_SECONDS",
  "approval-seconds": "APPROVAL_SECONDS",
  "scrape-interval-ms": "SCRAPE_INTERVAL_MS",
} as const;

const url = z.url({ protocol: /^https?$/, error: "must be an http or https URL" });
const positive = (name: string) => z.coerce.number({ error: `${name} must be a number` }).positive();
const services = z.record(z.string(), z.string());
const endpointsSchema = z.strictObject({
  view: z.enum(["host", "network"]),
  byComponent: z.record(z.string(), services),
  advertised: z.record(z.string(), z.string()),
  prometheusUrl: z.string().nullable(),
});

const ENGINES =
  "unix:<engine socket>, docker:<compose project>, or control:http://<host>:<port> or control:unix:<socket> of a compose-agent";

const schema = z.object({
  "pd-urls": z
    .string({ error: "PD_URLS is missing: name the PD members, e.g. http://pd0:2379,http://pd1:2379,http://pd2:2379" })
    .transform((text) => text.split(",").map((part) => part.trim()))
    .pipe(z.array(url).min(1)),
  "prometheus-url": url.optional(),
  instance: z
    .string({ error: "INSTANCE_ID is missing: it says whose tickets this agent works" })
    .regex(/^[A-Za-z0-9_.-]{1,64}$/),
  engine: z
    .string({ error: `ENGINE is missing: ${ENGINES}` })
    .regex(
      /^(unix:\/.+|docker:[a-z0-9][a-z0-9_-]*|control:(http:\/\/[^\s@?#]+|unix:\/.+))$/,
      `ENGINE must be ${ENGINES}`,
    ),
  network: z
    .string()
    .regex(/^[A-Za-z0-9_.-]+$/, "NETWORK must be the name of a network")
    .optional(),
  endpoints: z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue("ENDPOINTS is not JSON");
        return z.NEVER;
      }
    })
    .pipe(endpointsSchema)
    .optional(),
  operator: z
    .enum(AGENT_OPERATORS, {
      error: `OPERATOR must be ${AGENT_OPERATORS.slice(0, -1).join(", ")} or ${AGENT_OPERATORS.at(-1)}`,
    })
    .default("runbook"),
  "safety-mode": z
    .enum(SAFETY_MODES, { error: "OPERATOR_SAFETY_MODE must be observe, propose or execute" })
    .default("execute"),
  model: z.string().min(1).optional(),
  runbooks: z
    .string()
    .transform((text) => text.split(":").filter((part) => part !== ""))
    .default([]),
  "door-dir": z.string().startsWith("/", "DOOR_DIR must be an absolute path").optional(),
  "max-turns": positive("MAX_TURNS").int().default(defaultLimits.turns),
  "max-minutes": positive("MAX_MINUTES").default(defaultLimits.workingMs / 60_000),
  "max-usd": positive("MAX_USD").default(defaultLimits.usd),
  "max-output-tokens": positive("MAX_OUTPUT_TOKENS").int().default(defaultLimits.outputTokensPerTurn),
  "lease-seconds": positive("LEASE_SECONDS").min(1).default(30),
  "approval-seconds": positive("APPROVAL_SECONDS").default(600),
  "scrape-interval-ms": positive("SCRAPE_INTERVAL_MS").optional(),
});

export type AgentConfig = Readonly<ReturnType<typeof agentConfig>>;

/**
 * The agent's settings from flags and environment.
 *
 * @throws ConfigError: one sentence that names the setting and what to do.
 */
export function agentConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  const said = saidSettings({ argv, env }, SETTINGS, ["once", "compose-mode"]);
  const read = schema.safeParse(said.raw);
  if (!read.success) throw new ConfigError(settingSentence(SETTINGS, read.error.issues[0]));
  const settings = read.data;
  if (settings.operator === "claude" && (env["ANTHROPIC_API_KEY"] ?? "") === "")
    throw new ConfigError("the operator claude needs ANTHROPIC_API_KEY; without a key use the operator runbook");
  const flags = { composeMode: said.switches["compose-mode"], config: said.configFile };
  const control = readSettings({ env, flags, defaults: { agentId: "agent" } }).settings;
  refuseContradiction(settings.engine, control.composeAgentEnabled);
  return {
    /** What it shares with compose-agent and panel: mode, plane, tokens, addresses. */
    control,
    ticketsPath: resolve(said.ticketFile ?? join(homedir(), ".operator", "tickets.db")),
    once: said.switches["once"] === true,
    pdUrls: settings["pd-urls"],
    prometheusUrl: settings["prometheus-url"] ?? settings.endpoints?.prometheusUrl ?? null,
    instance: settings.instance as InstanceId,
    engine: settings.engine,
    network: settings.network ?? null,
    endpoints: (settings.endpoints ?? null) as Endpoints | null,
    operator: settings.operator,
    mode: settings["safety-mode"],
    model: settings.model ?? null,
    runbookDirs: settings.runbooks,
    /** Where somebody who is not at this program's own terminal comes in: a person, or a client. */
    doorDir: settings["door-dir"] ?? null,
    limits: {
      turns: settings["max-turns"],
      workingMs: settings["max-minutes"] * 60_000,
      usd: settings["max-usd"],
      outputTokensPerTurn: settings["max-output-tokens"],
    },
    leaseMs: settings["lease-seconds"] * 1_000,
    approvalMs: settings["approval-seconds"] * 1_000,
    scrapeIntervalMs: settings["scrape-interval-ms"] ?? null,
    apiKey: env["ANTHROPIC_API_KEY"] ?? null,
    apiUrl: (env["ANTHROPIC_BASE_URL"] ?? "") === "" ? null : (env["ANTHROPIC_BASE_URL"] as string),
    host: hostname(),
  };
}

/** Who thinks that the agent has no engine, while it holds one, is badly off; the other way round it is a riddle. */
function refuseContradiction(engine: string, composeAgentEnabled: boolean): void {
  const sidecar = engine.startsWith("control:");
  if (composeAgentEnabled && !sidecar)
    throw new ConfigError(
      `compose mode is on, but ENGINE is ${engine.split(":")[0]}:…, which the agent would hold itself; ENGINE must be control:<address of the compose-agent>`,
    );
  if (!composeAgentEnabled && sidecar)
    throw new ConfigError(
      "ENGINE is control:…, but compose mode is off; say --compose-mode or COMPOSE_AGENT_ENABLED=true",
    );
}
