import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ConfigError } from "../../base/errors.ts";
import type { Plane } from "../planes.ts";
import type { WatchdogSettings } from "../watchdog/settings.ts";
import { defaultConfigPath, readConfigFile, type ConfigFile } from "./config-file.ts";
import { BASE_SETTINGS, WATCHDOG_SETTINGS, type SettingSpec } from "./table.ts";

export interface VaultSettings {
  readonly address: string;
  readonly token: string;
  /** First part = mount. */
  readonly pathPrefix: string;
  /** Of the program's own plane; null = `<plane>_token`. */
  readonly tokenKey: string | null;
  readonly namespace: string | null;
  /** null = asked of the server. */
  readonly kvVersion: 1 | 2 | null;
}

/** All that agent, compose-agent, panel and watchdog read, from one place. */
export interface ControlSettings {
  readonly composeAgentEnabled: boolean;
  readonly controlPlane: Plane;
  readonly agentId: string;
  readonly deploymentHash: string;
  readonly dashboardUrl: string;
  /** null = tokens are files in `tokenDir`. */
  readonly vault: VaultSettings | null;
  /** Absolute; one folder in it for each plane. */
  readonly tokenDir: string;
  readonly tokenRefreshMs: number;
  readonly tokenGraceMs: number;
  readonly watchdog: WatchdogSettings;
}

/** Where a value comes from, best first. */
export type SourceKind = "flag" | "environment" | "file" | "default";

export interface ShownSetting {
  readonly variable: string;
  readonly key: string | null;
  /** As text; a secret is only said to be there. */
  readonly value: string;
  readonly source: SourceKind;
  /** The flag, variable or file that says so; empty for a default. */
  readonly where: string;
  readonly about: string;
}

export interface SettingsInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags?: {
    /** `--compose-mode`, `--no-compose-mode`. */
    readonly composeMode?: boolean | undefined;
    /** `--config <file>`. */
    readonly config?: string | undefined;
  };
  /** Other defaults of this program, e.g. its own name. */
  readonly defaults?: { readonly agentId?: string; readonly controlPlane?: Plane };
}

export interface ReadSettings {
  readonly settings: ControlSettings;
  readonly shown: readonly ShownSetting[];
  /** The config file that was read; null where there is none. */
  readonly file: string | null;
}

interface Found {
  readonly value: unknown;
  readonly source: SourceKind;
  readonly where: string;
}

/**
 * Reads every setting: flag before environment before config file before default. An empty variable is none, since
 * compose passes unset ones on as empty.
 *
 * @throws ConfigError: one sentence that names the setting and where it was said.
 */
export function readSettings({ env, flags = {}, defaults = {} }: SettingsInput): ReadSettings {
  const specs = allSpecs(defaults);
  const file = configFile(env, flags.config, specs);
  const found = new Map(Object.entries(specs).map(([name, spec]) => [name, find(spec, env, file)]));
  if (flags.composeMode !== undefined)
    found.set("composeAgentEnabled", { value: flags.composeMode, source: "flag", where: "--compose-mode" });
  const get = (name: string): unknown => found.get(name)?.value;
  const settings = assemble(get as <T>(name: string) => T, env);
  found.set("tokenDir", { ...(found.get("tokenDir") as Found), value: settings.tokenDir });
  return {
    settings,
    shown: Object.entries(specs).map(([name, spec]) => show(spec, found.get(name) as Found)),
    file: file?.path ?? null,
  };
}

function allSpecs(defaults: NonNullable<SettingsInput["defaults"]>): Record<string, SettingSpec> {
  const { agentId, controlPlane } = BASE_SETTINGS;
  return {
    ...BASE_SETTINGS,
    agentId: { ...agentId, fallback: defaults.agentId ?? agentId.fallback },
    controlPlane: { ...controlPlane, fallback: defaults.controlPlane ?? controlPlane.fallback },
    ...WATCHDOG_SETTINGS,
  };
}

function configFile(
  env: SettingsInput["env"],
  flag: string | undefined,
  specs: Record<string, SettingSpec>,
): ConfigFile | null {
  const named = flag ?? (env["OPERATOR_CONFIG"] || undefined);
  const keys = Object.values(specs).flatMap(({ key }) => (key === null ? [] : [key]));
  return readConfigFile(named ?? defaultConfigPath(env), new Set(keys), named !== undefined);
}

function find(spec: SettingSpec, env: SettingsInput["env"], file: ConfigFile | null): Found {
  const said = env[spec.variable] ?? "";
  if (said !== "") return { value: parse(spec, said, spec.variable), source: "environment", where: spec.variable };
  if (spec.key !== null && file?.values.has(spec.key) === true) {
    const value = parse(spec, file.values.get(spec.key), `${file.path}: ${spec.key}`);
    return { value, source: "file", where: file.path };
  }
  return { value: spec.fallback, source: "default", where: "" };
}

function parse(spec: SettingSpec, given: unknown, where: string): unknown {
  const read = spec.value.safeParse(given);
  if (read.success) return read.data;
  throw new ConfigError(`${where} ${read.error.issues[0]?.message ?? "is not valid"}`);
}

function assemble(get: <T>(name: string) => T, env: SettingsInput["env"]): ControlSettings {
  const watchdog = Object.fromEntries(Object.keys(WATCHDOG_SETTINGS).map((name) => [name, get(name)]));
  return {
    composeAgentEnabled: get("composeAgentEnabled"),
    controlPlane: get("controlPlane"),
    agentId: get("agentId"),
    deploymentHash: get("deploymentHash"),
    dashboardUrl: get("dashboardUrl"),
    vault: vaultSettings(get),
    tokenDir: resolve(get<string | null>("tokenDir") ?? defaultTokenDir(env)),
    tokenRefreshMs: get<number>("tokenRefreshSeconds") * 1_000,
    tokenGraceMs: get<number>("tokenGraceSeconds") * 1_000,
    watchdog: watchdog as unknown as WatchdogSettings,
  };
}

function vaultSettings(get: <T>(name: string) => T): VaultSettings | null {
  const address = get<string | null>("vaultAddress");
  if (address === null) return null;
  const token = get<string | null>("vaultToken");
  if (token === null) throw new ConfigError("VAULT_ADDRESS is set, but VAULT_TOKEN, which opens it, is not");
  return {
    address,
    token,
    pathPrefix: get("vaultPathPrefix"),
    tokenKey: get("vaultTokenKey"),
    namespace: get("vaultNamespace"),
    kvVersion: get("vaultKvVersion"),
  };
}

/** Under a neutral name and outside `~/.operator`: containers mount its folders, and see where they lie. */
function defaultTokenDir(env: SettingsInput["env"]): string {
  const state = env["XDG_STATE_HOME"] ?? "";
  const home = env["HOME"] ?? "";
  const base = state === "" ? join(home === "" ? homedir() : home, ".local", "state") : state;
  return join(base, "operator-tokens");
}

function show(spec: SettingSpec, { value, source, where }: Found): ShownSetting {
  const said = value === null ? "-" : spec.secret ? "[set]" : String(value);
  return { variable: spec.variable, key: spec.key, value: said, source, where, about: spec.about };
}
