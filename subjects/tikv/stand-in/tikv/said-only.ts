import { existsSync } from "node:fs";
import { stringify } from "smol-toml";
import { DEFAULTS } from "./config/defaults.ts";
import { items, itemAt, withItem, type ConfigTree } from "./config/tree.ts";
import { criticalChange, invalidConfig } from "./config/validate.ts";
import { helpText } from "./flags.ts";
import { readLastConfig } from "./last-config.ts";
import type { TikvSettings } from "./settings.ts";

/** What a flag wants said instead of a store started. Text for a code other than 0 belongs on stderr. */
export function saidOnly(
  settings: TikvSettings,
  version: string,
  gitHash: string,
): { readonly text: string; readonly code: number } {
  const said = (text: string) => ({ text, code: 0 });
  switch (settings.only) {
    case "version":
      return said(`TiKV \n${release(version, gitHash)}`);
    case "help":
      return said(helpText(`\n${release(version, gitHash)}`));
    case "print-sample-config":
      return said(stringify(withoutNulls(DEFAULTS)));
    case "config-info":
      return said(`${JSON.stringify(info(settings, version), null, 2)}\n`);
    case "config-check":
    case null: {
      const wrong = wrongConfig(settings);
      return wrong === null ? said("config check successful\n") : { text: `${wrong}\n`, code: 1 };
    }
  }
}

function release(version: string, gitHash: string): string {
  return `Release Version:   ${version}\nEdition:           Community\nGit Commit Hash:   ${gitHash}\n`;
}

function wrongConfig({ config, dataDir, unknownKeys }: TikvSettings): string | null {
  const invalid = invalidConfig(config);
  if (invalid !== null) return `invalid configuration: ${invalid}`;
  const last = existsSync(dataDir) ? readLastConfig(dataDir) : null;
  const changed = last === null ? null : criticalChange(config, last);
  if (changed !== null) return `critical config check failed: ${changed}`;
  return unknownKeys.length === 0 ? null : `unknown configuration options: ${unknownKeys.join(", ")}`;
}

function info({ config }: TikvSettings, version: string): object {
  const parameters = [...items(withoutNulls(DEFAULTS))].map(([Name, value]) => {
    const here = itemAt(config, Name);
    const differs = JSON.stringify(plain(here)) !== JSON.stringify(plain(value));
    return { Name, DefaultValue: plain(value), ...(differs ? { ValueInFile: plain(here) } : {}) };
  });
  return { Component: "TiKV Server", Version: version, Parameters: parameters };
}

const plain = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);

function withoutNulls(tree: ConfigTree): ConfigTree {
  let known: ConfigTree = {};
  for (const [path, value] of items(tree)) if (value !== null) known = withItem(known, path, value);
  return known;
}
