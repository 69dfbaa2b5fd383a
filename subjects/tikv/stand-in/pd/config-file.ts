import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { ConfigError, errorText } from "../../../../harness/base/errors.ts";
import { defaultReplication, defaultSchedule, type ConfigSection, type ConfigValue } from "./default-config.ts";

export interface FileConfig {
  readonly schedule: ConfigSection;
  readonly replication: ConfigSection;
}

/**
 * What a configuration file says about scheduling and replication: it counts until the cluster is bootstrapped, as
 * PD keeps these settings in etcd from then on. Items that PD does not know are passed over, as PD does.
 *
 * @throws ConfigError when it cannot be read or is not TOML
 */
export function readConfigFile(path: string | null): FileConfig {
  if (path === null) return { schedule: {}, replication: {} };
  let file: Record<string, unknown>;
  try {
    file = parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ConfigError(`load config file failed: ${errorText(cause)}`, { cause });
  }
  return {
    schedule: known(file["schedule"], defaultSchedule),
    replication: known(file["replication"], defaultReplication),
  };
}

function known(given: unknown, defaults: ConfigSection): ConfigSection {
  if (typeof given !== "object" || given === null) return {};
  const values = Object.entries(given).map(([key, value]): [string, ConfigValue] => [
    key,
    // In TOML these are booleans, in every answer of PD they are strings.
    typeof value === "boolean" ? String(value) : Array.isArray(value) ? value.join(",") : (value as ConfigValue),
  ]);
  return Object.fromEntries(values.filter(([key, value]) => typeof defaults[key] === typeof value));
}
