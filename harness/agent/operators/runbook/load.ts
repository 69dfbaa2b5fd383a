import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ConfigError, errorText } from "../../../base/errors.ts";
import type { CauseClass } from "../../../protocol.ts";
import { runbookSchema, type Runbook } from "./schema.ts";

/**
 * All `*.yaml` and `*.yml` of the folders, in the order in which they are tried. A later folder's runbook replaces an
 * earlier one of the same name, so that a user can change what the kit brings.
 *
 * @throws ConfigError naming file and line.
 */
export async function loadRunbooks(
  folders: readonly string[],
  causes: readonly CauseClass[],
): Promise<readonly Runbook[]> {
  const byName = new Map<string, Runbook>();
  for (const folder of folders) {
    for (const file of await filesOf(folder)) {
      const runbook = parseRunbook(await readFile(file, "utf8"), file, causes);
      byName.set(runbook.runbook, runbook);
    }
  }
  return [...byName.values()].sort((a, b) => a.order - b.order || a.runbook.localeCompare(b.runbook));
}

async function filesOf(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => /\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    throw new ConfigError(`cannot read the runbooks in ${folder}: ${errorText(error)}`, { cause: error });
  }
}

export function parseRunbook(text: string, file: string, causes: readonly CauseClass[]): Runbook {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined)
    throw new ConfigError(`${file}, line ${lines.linePos(broken.pos[0]).line}: ${broken.message.split("\n")[0]}`);
  const read = runbookSchema.safeParse(document.toJS());
  if (!read.success) throw new ConfigError(`${file}: ${z.prettifyError(read.error)}`);
  const { cause } = read.data.diagnosis;
  if (!causes.some(({ id }) => id === cause))
    throw new ConfigError(`${file}: "${cause}" is not on the published list of causes`);
  return read.data;
}
