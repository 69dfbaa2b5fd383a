import { relative, resolve } from "node:path";
import { Command } from "commander";
import { HarnessError } from "../base/errors.ts";
import { readRecord, readRunData, RunFolder } from "../store/run-folder.ts";
import { readBaseline } from "../trial/baseline-file.ts";
import { gradeTrial } from "../trial/grade.ts";
import { judgeData } from "../trial/judge-data.ts";
import { story } from "../view/story.ts";
import { exitCodeFor } from "./conduct-trial.ts";
import type { CliIo } from "./io.ts";
import { BASELINE_DIR } from "./subjects.ts";

/** `lab grade <run>`: judges a recorded trial again, from its folder alone. */
export function gradeCommand(io: CliIo): Command {
  return new Command("grade")
    .description("judge a recorded trial again, from its folder alone")
    .argument("<run>", "a folder below runs/")
    .option("--json", "the record as JSON")
    .action(async (run: string, { json }: { json?: true }) => {
      const path = resolve(io.cwd, run);
      const record = await readRecord(path);
      if (record.status !== "completed")
        throw new HarnessError("usage", `${run} is ${record.status}: only a completed trial can be graded`);
      judgeData(record, await readRunData(path));
      const of = { scenario: record.scenario.id, engine: record.engine, timeFactor: record.timeFactor };
      record.grade = gradeTrial(record, await readBaseline(BASELINE_DIR, of, record.baselineKey));
      await using folder = await RunFolder.create(path);
      await folder.save(record);
      io.out(
        json ? `${JSON.stringify(record)}\n` : story(record, { folder: relative(io.cwd, path) || ".", next: null }),
      );
      io.setExitCode(exitCodeFor(record));
    });
}
