import type { z } from "zod";
import { z as schema } from "zod";
import { DEFAULT_DASHBOARD_URL } from "../registration.ts";
import { PLANES, type Plane } from "../planes.ts";
import { DEFAULT_WATCHDOG_SETTINGS, watchdogSettingsSchema, type WatchdogSettings } from "../watchdog/settings.ts";
import { address, bool, number, plainName, secret, text, vaultPath } from "./values.ts";

/** One setting: where it may come from and what it must look like. */
export interface SettingSpec<T = unknown> {
  /** In the environment. */
  readonly variable: string;
  /** In the config file, parts separated by dots; null = not from there. */
  readonly key: string | null;
  readonly value: z.ZodType<T>;
  /** Where nobody says anything; null = none. */
  readonly fallback: T;
  readonly secret: boolean;
  /** For `config show` and the page. */
  readonly about: string;
}

function setting<T>(
  variable: string,
  key: string | null,
  value: z.ZodType<T>,
  fallback: NoInfer<T>,
  about: string,
  options: { readonly secret?: true } = {},
): SettingSpec<T> {
  return { variable, key, value, fallback, about, secret: options.secret === true };
}

const plane: z.ZodType<Plane> = schema.enum(PLANES, { error: `must be ${PLANES.join(" or ")}` });
const kvVersion = schema.unknown().transform((given, context): 1 | 2 | null => {
  const word = String(given).toLowerCase();
  if (word === "auto") return null;
  if (word === "1" || word === "2") return word === "1" ? 1 : 2;
  context.addIssue("must be 1, 2 or auto");
  return schema.NEVER;
});
const seconds = number(schema.number().min(1).max(86_400));
const graceSeconds = number(schema.number().min(0).max(86_400));

/** Every setting of the control plane but the watchdog's, which follow from its schema. */
export const BASE_SETTINGS = {
  composeAgentEnabled: setting("COMPOSE_AGENT_ENABLED", "compose_agent_enabled", bool, false, "compose mode or legacy"),
  controlPlane: setting("CONTROL_PLANE", "control_plane", plane, "status_panel", "whose commands this program runs"),
  agentId: setting("AGENT_ID", "agent_id", plainName, "agent", "this program's name in signatures and on the panel"),
  deploymentHash: setting("DEPLOYMENT_HASH", "deployment_hash", plainName, "default", "which deployment"),
  dashboardUrl: setting("DASHBOARD_URL", "dashboard_url", address, DEFAULT_DASHBOARD_URL, "where to register"),
  vaultAddress: setting<string | null>("VAULT_ADDRESS", "vault_address", address, null, "Vault; without it, files"),
  vaultToken: setting<string | null>("VAULT_TOKEN", null, secret, null, "opens Vault", { secret: true }),
  vaultPathPrefix: setting(
    "VAULT_AGENT_PATH_PREFIX",
    "vault_agent_path_prefix",
    vaultPath,
    "secret/agent",
    "tokens lie at <prefix>/<deployment>/<key>",
  ),
  vaultTokenKey: setting<string | null>("VAULT_TOKEN_KEY", "vault_token_key", plainName, null, "key of the own plane"),
  vaultNamespace: setting<string | null>("VAULT_NAMESPACE", "vault_namespace", vaultPath, null, "Vault's namespace"),
  vaultKvVersion: setting<1 | 2 | null>("VAULT_KV_VERSION", "vault_kv_version", kvVersion, null, "1, 2 or auto"),
  tokenDir: setting<string | null>("TOKEN_DIR", "token_dir", text, null, "tokens as files, a folder for each plane"),
  tokenRefreshSeconds: setting("TOKEN_REFRESH_SECONDS", "token_refresh_seconds", seconds, 60, "between two readings"),
  tokenGraceSeconds: setting("TOKEN_GRACE_SECONDS", "token_grace_seconds", graceSeconds, 300, "of a predecessor"),
} as const;

/** `intervalMs` is WATCHDOG_INTERVAL_MS and `watchdog.interval_ms`. */
function watchdogSpecs(): Record<keyof WatchdogSettings, SettingSpec> {
  const entries = Object.entries(watchdogSettingsSchema.shape).map(([name, field]) => {
    const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const fallback = DEFAULT_WATCHDOG_SETTINGS[name as keyof WatchdogSettings];
    const isFlag = typeof fallback === "boolean";
    const value: z.ZodType = isFlag ? bool : number(field as unknown as z.ZodType<number>);
    // Not below `watchdog`: whether people's fallback may replace the sidecar concerns all programs.
    const spec = isFlag
      ? setting(snake.toUpperCase(), snake, value, fallback, "the watchdog may go back to legacy mode")
      : setting(`WATCHDOG_${snake.toUpperCase()}`, `watchdog.${snake}`, value, fallback, "see the watchdog's page");
    return [name, spec] as const;
  });
  return Object.fromEntries(entries) as Record<keyof WatchdogSettings, SettingSpec>;
}

export const WATCHDOG_SETTINGS = watchdogSpecs();

/** All variables that the control plane reads. */
export const CONTROL_VARIABLES: readonly string[] = [
  ...Object.values(BASE_SETTINGS),
  ...Object.values(WATCHDOG_SETTINGS),
].map(({ variable }) => variable);
