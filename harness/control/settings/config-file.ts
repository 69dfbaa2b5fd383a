import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ConfigError, errorText } from "../../base/errors.ts";

export interface ConfigFile {
  readonly path: string;
  /** Values by key, parts joined with dots: `watchdog.interval_ms`. */
  readonly values: ReadonlyMap<string, unknown>;
}

/** Keys of the public original's `config.json` that mean nothing here: such a file can be used as it is. */
const OF_THE_ORIGINAL = new Set(["domain", "subdomains", "apps_info", "reqdata", "ssl"]);

/**
 * `~/.config/operator/config.json` (XDG). Not in `~/.operator`, which agents write to: what is set here, such as
 * `allow_legacy_fallback`, is for the host alone.
 */
export function defaultConfigPath(env: Readonly<Record<string, string | undefined>>): string {
  const given = env["XDG_CONFIG_HOME"] ?? "";
  const home = env["HOME"] ?? "";
  return join(given === "" ? join(home === "" ? homedir() : home, ".config") : given, "operator", "config.json");
}

/**
 * @param required a file that was named has to be there; the default one may be missing.
 * @returns null where there is none.
 * @throws ConfigError naming the file and the first thing that is wrong in it.
 */
export function readConfigFile(path: string, known: ReadonlySet<string>, required: boolean): ConfigFile | null {
  const file = resolve(path);
  let raw: string;
  try {
    raw = readFileSync(file, "utf8");
  } catch (error) {
    if (!required && ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw new ConfigError(`the config file cannot be read: ${errorText(error)}`, { cause: error });
  }
  let json: unknown;
  try {
    json = JSON.parse(raw);
  } catch {
    // Not the parser's words: they quote the file, and people put secrets where they do not belong.
    throw new ConfigError(`${file} is not JSON`);
  }
  const values = new Map(flat(json, file, ""));
  for (const key of values.keys()) refuseUnknown(key, known, file);
  return { path: file, values };
}

function flat(json: unknown, file: string, below: string): [string, unknown][] {
  if (json === null || typeof json !== "object" || Array.isArray(json))
    throw new ConfigError(`${file}: ${below === "" ? "the file" : below.slice(0, -1)} must be an object`);
  return Object.entries(json).flatMap(([key, value]): [string, unknown][] => {
    if (below === "" && OF_THE_ORIGINAL.has(key)) return [];
    return key === "watchdog" ? flat(value, file, "watchdog.") : [[below + key, value]];
  });
}

function refuseUnknown(key: string, known: ReadonlySet<string>, file: string): void {
  if (known.has(key)) return;
  if (key === "vault_token")
    throw new ConfigError(`${file}: vault_token is a secret and belongs in the environment (VAULT_TOKEN)`);
  throw new ConfigError(`${file}: ${key} is no setting; \`config show\` lists them`);
}
