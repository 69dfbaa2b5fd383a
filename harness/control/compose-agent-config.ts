import { hostname } from "node:os";
import { resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "../base/errors.ts";
import { saidSettings, settingSentence } from "../base/program-settings.ts";
import type { InstanceId } from "../protocol.ts";
import { controlHome, defaultStateDir, type ControlHome } from "./audit/index.ts";
import { DEFAULT_PORT } from "./contract.ts";

/**
 * What only the compose-agent's program is told, flag and variable; what it shares with agent and panel is in
 * `settings.ts`. A flag wins over its variable.
 */
const SETTINGS = {
  engine: "ENGINE",
  network: "NETWORK",
  instance: "INSTANCE_ID",
  listen: "CONTROL_LISTEN",
  socket: "CONTROL_SOCKET",
  "state-dir": "STATE_DIR",
  "audit-dir": "AUDIT_DIR",
  "audit-key-dir": "AUDIT_KEY_DIR",
  "audit-anchor-dir": "AUDIT_ANCHOR_DIR",
  "safety-mode": "OPERATOR_SAFETY_MODE",
  "min-workers": "MIN_WORKERS",
  "max-workers": "MAX_WORKERS",
} as const;

const folder = z
  .string()
  .min(1)
  .transform((path) => resolve(path));
const workers = (name: string) =>
  z.coerce
    .number({ error: `${name} must be a number` })
    .int()
    .min(1)
    .max(64);

const schema = z
  .object({
    engine: z
      .string({ error: "ENGINE is missing: unix:<engine socket> or docker:<compose project>" })
      .regex(
        /^(unix:\/.+|docker:[a-z0-9][a-z0-9_-]*)$/,
        "ENGINE must be unix:<engine socket> or docker:<compose project>",
      ),
    network: z
      .string()
      .regex(/^[A-Za-z0-9_.-]+$/, "NETWORK must be the name of a network")
      .optional(),
    instance: z
      .string({ error: "INSTANCE_ID is missing: it says whose incidents may be worked on" })
      .regex(/^[A-Za-z0-9_.-]{1,64}$/),
    listen: z
      .string()
      .regex(/^(none|.+:\d{1,5})$/, "CONTROL_LISTEN must be host:port, or none")
      .default(`127.0.0.1:${DEFAULT_PORT}`)
      .transform(tcpOf),
    socket: folder.optional(),
    "state-dir": folder.optional(),
    "audit-dir": folder.optional(),
    "audit-key-dir": folder.optional(),
    "audit-anchor-dir": folder.optional(),
    "safety-mode": z
      .enum(["observe", "execute", "propose"], { error: "OPERATOR_SAFETY_MODE must be observe, propose or execute" })
      .default("execute"),
    "min-workers": workers("MIN_WORKERS").default(2),
    "max-workers": workers("MAX_WORKERS").default(16),
  })
  .refine(({ listen, socket }) => listen !== null || socket !== undefined, {
    error: "nothing to listen on: CONTROL_LISTEN is none, and CONTROL_SOCKET is not set",
  })
  .refine((settings) => settings["min-workers"] <= settings["max-workers"], {
    error: "MIN_WORKERS must not be more than MAX_WORKERS",
  });

export interface ComposeAgentConfig {
  /** Null = no ticket file: nothing is fenced. */
  readonly ticketsPath: string | null;
  /** Only ask a running one how it is, and leave with the answer. */
  readonly check: boolean;
  /** `--compose-mode`, `--no-compose-mode`, `--config`: for `readSettings`. */
  readonly composeMode: boolean | undefined;
  readonly configFile: string | undefined;
  readonly engine: string;
  readonly network: string | null;
  readonly instance: InstanceId;
  readonly tcp: { readonly host: string; readonly port: number } | null;
  readonly socketPath: string | null;
  readonly home: ControlHome;
  readonly mode: "observe" | "execute" | "propose";
  readonly workers: { readonly min: number; readonly max: number };
  readonly host: string;
}

/** @throws ConfigError: one sentence that names the setting and what to do. */
export function composeAgentConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ComposeAgentConfig {
  const said = saidSettings({ argv, env }, SETTINGS, ["check", "compose-mode"]);
  const read = schema.safeParse(said.raw);
  if (!read.success) throw new ConfigError(settingSentence(SETTINGS, read.error.issues[0]));
  const settings = read.data;
  const home = controlHome(settings["state-dir"] ?? defaultStateDir(env));
  return {
    ticketsPath: said.ticketFile === undefined ? null : resolve(said.ticketFile),
    check: said.switches["check"] === true,
    composeMode: said.switches["compose-mode"],
    configFile: said.configFile,
    engine: settings.engine,
    network: settings.network ?? null,
    instance: settings.instance as InstanceId,
    tcp: settings.listen,
    socketPath: settings.socket ?? null,
    home: {
      ...home,
      audit: settings["audit-dir"] ?? home.audit,
      auditKey: settings["audit-key-dir"] ?? home.auditKey,
      auditAnchor: settings["audit-anchor-dir"] ?? home.auditAnchor,
    },
    mode: settings["safety-mode"],
    workers: { min: settings["min-workers"], max: settings["max-workers"] },
    host: hostname(),
  };
}

function tcpOf(text: string): { readonly host: string; readonly port: number } | null {
  if (text === "none") return null;
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}
