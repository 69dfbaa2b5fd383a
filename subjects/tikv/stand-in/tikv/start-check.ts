import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import { configJson } from "./config/json.ts";
import { itemAt } from "./config/tree.ts";
import { criticalChange, invalidConfig } from "./config/validate.ts";
import { readLastConfig, writeLastConfig } from "./last-config.ts";
import { filesAllowed, neededFiles, tooFewFiles } from "./open-files.ts";
import type { TikvSettings } from "./settings.ts";

/**
 * What TiKV looks at before it touches its data (tikv/tikv:components/server/src/common.rs, `init_config`), and the
 * configuration is kept for the next start. @returns why it must not start, in TiKV's words; null = it may.
 */
export function checkStart({ config, dataDir }: TikvSettings, log: NodeLog): string | null {
  const invalid = invalidConfig(config);
  if (invalid !== null) return `invalid configuration: ${invalid}`;
  try {
    mkdirSync(dataDir, { recursive: true });
    const last = readLastConfig(dataDir);
    const changed = last === null ? null : criticalChange(config, last);
    if (changed !== null) return `critical config check failed: ${changed}`;
  } catch (error) {
    return errorText(error);
  }
  log.info("common.rs:470", "beginning system configuration check");
  const needed = neededFiles({ number: (path) => Number(itemAt(config, path)) });
  const tooFew = tooFewFiles(needed, filesAllowed());
  if (tooFew !== null) return tooFew;
  const mark = join(dataDir, "panic_mark_file");
  if (existsSync(mark)) return panicMark(mark);
  try {
    writeLastConfig(dataDir, config);
  } catch (error) {
    return `persist critical config failed: ${errorText(error)}`;
  }
  log.info("common.rs:139", "using config", { config: configJson(config) });
  return null;
}

function panicMark(path: string): string {
  return `panic_mark_file ${path} exists, there must be something wrong with the db. Do not remove the panic_mark_file and force the TiKV node to restart. Please contact TiKV maintainers to investigate the issue. If needed, use scale in and scale out to replace the TiKV node. https://docs.pingcap.com/tidb/stable/scale-tidb-using-tiup`;
}
