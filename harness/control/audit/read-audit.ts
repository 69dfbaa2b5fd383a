import { join } from "node:path";
import { chainFiles, scanFile } from "./chain-files.ts";
import { AuditError } from "./errors.ts";
import { readKey } from "./key.ts";
import type { AuditRecord } from "./line.ts";
import type { AuditOptions } from "./types.ts";

export type { AuditRecord };

/**
 * The lines of a chain that are as they were written, oldest first; what else there is only `verifyAudit` tells.
 * @throws AuditError when there is no key.
 */
export function* readAudit({ writer, folder, keyFolder }: AuditOptions): Generator<AuditRecord> {
  const key = readKey(keyFolder);
  if (key === null) throw new AuditError(`there is no key in ${keyFolder}: no line can be told from a forged one`);
  for (const { path } of chainFiles(join(folder, writer)))
    for (const { record } of scanFile(path, key).lines) if (record !== null) yield record;
}
