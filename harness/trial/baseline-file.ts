import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../base/make-folder.ts";
import { z } from "zod";
import { StoreError } from "../base/errors.ts";
import type { TrialRecord } from "../store/record.ts";
import { baselineSchema, type Baseline } from "./counterfactual.ts";
import { predicateRecovery } from "./recovery.ts";

/** One file per scenario, engine and time factor: the newest build replaces the older one. */
function baselinePath(folder: string, of: Pick<Baseline, "scenario" | "engine" | "timeFactor">): string {
  return join(folder, `${of.scenario.replace("/", "--")}.${of.engine}.x${of.timeFactor}.json`);
}

/** The stored runs for exactly this key, or null. @throws StoreError for a file that is not a baseline. */
export async function readBaseline(
  folder: string,
  of: Pick<TrialRecord, "engine" | "timeFactor"> & { readonly scenario: string },
  key: string,
): Promise<Baseline | null> {
  const path = baselinePath(folder, of);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new StoreError(`cannot read ${path}`, { cause: error });
  }
  const parsed = baselineSchema.safeParse(jsonOf(text, path));
  if (!parsed.success) throw new StoreError(`${path} is not a baseline:\n${z.prettifyError(parsed.error)}`);
  return parsed.data.key === key ? parsed.data : null;
}

function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StoreError(`${path} is not a baseline: it is not JSON`, { cause });
  }
}

/** Void trials are left out. @throws StoreError when nothing is left or the keys differ. */
export async function writeBaseline(folder: string, records: readonly TrialRecord[]): Promise<string> {
  const usable = records.filter((record) => record.status === "completed" && record.marks.horizonMs !== null);
  const first = usable[0];
  if (first === undefined) throw new StoreError("no completed trial to make a baseline of");
  if (usable.some((record) => record.baselineKey !== first.baselineKey))
    throw new StoreError("these trials are of different keys: their scenario, build, engine or time factor differ");
  const baseline: Baseline = {
    format: 1,
    key: first.baselineKey,
    scenario: first.scenario.id,
    engine: first.engine,
    timeFactor: first.timeFactor,
    subject: first.subject.title,
    runs: usable.map((record) => ({
      id: record.id,
      startedAt: record.startedAt,
      seed: record.seed,
      horizonMs: record.marks.horizonMs ?? 0,
      predicates: record.scenario.hypothesis.map((_, index) => predicateRecovery(record.samples, index)),
    })),
  };
  const path = baselinePath(folder, { ...baseline });
  makeFolder(folder);
  await writeFile(`${path}.part`, `${JSON.stringify(baseline, null, 2)}\n`);
  await rename(`${path}.part`, path);
  return path;
}
