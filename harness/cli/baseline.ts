import { Command, Option } from "commander";
import { scenarios } from "../../scenarios/index.ts";
import type { EngineKind } from "../protocol.ts";
import { writeBaseline } from "../trial/baseline-file.ts";
import { findScenario } from "../trial/scenario-file.ts";
import { performTrial } from "./conduct-trial.ts";
import type { CliIo } from "./io.ts";
import { BASELINE_DIR, sweep } from "./subjects.ts";
import { factor } from "./trial-options.ts";
import type { TrialRecord } from "../store/record.ts";

interface Flags {
  readonly engine: EngineKind;
  readonly scenarios?: string[];
  readonly timeFactor?: number;
  readonly repeats: number;
  readonly runs: string;
  readonly json?: true;
}

/** As the demo's; containers run at real pace. */
const TIME_FACTOR = { process: 0.2, docker: 1 } as const;

/** `lab baseline`: what happens without an operator, stored for later comparison. */
export function baselineCommand(io: CliIo): Command {
  return new Command("baseline")
    .description("runs scenarios without an operator and stores what came back by itself, for `--baseline stored`")
    .addOption(new Option("--engine <engine>").choices(["process", "docker"]).default("process"))
    .option("--scenarios <ids...>", "only these; default: all that break something")
    .option("--time-factor <factor>", "of the embedded stand-ins; default 0.2", factor)
    .option("--repeats <number>", "trials per scenario", Number, 5)
    .option("--runs <folder>", "where records go", "runs")
    .option("--json", "machine-readable")
    .action(async (flags: Flags) => {
      await sweep(io, "sweep before a baseline");
      const wanted = flags.scenarios ?? scenarios.filter(({ control }) => !control).map(({ id }) => id);
      const timeFactor = flags.timeFactor ?? TIME_FACTOR[flags.engine];
      const written: string[] = [];
      for (const id of wanted) {
        const scenario = await findScenario(id, scenarios);
        const records: TrialRecord[] = [];
        for (let seed = 1; seed <= flags.repeats; seed++) {
          const request = {
            scenario,
            engine: flags.engine,
            flags: { ...flags, timeFactor, operator: "noop" as const, baseline: "none" as const },
            mode: "execute" as const,
            attach: undefined,
            db: undefined,
          };
          const { record } = await performTrial(request, seed, io, () => {});
          io.err(
            `${id}  seed ${seed}: ${record.status === "void" ? `void (${record.voidReason?.message})` : "done"}\n`,
          );
          records.push(record);
        }
        written.push(await writeBaseline(BASELINE_DIR, records));
        if (flags.json !== true) io.out(`${written.at(-1)}\n`);
      }
      if (flags.json === true) io.out(`${JSON.stringify(written)}\n`);
    });
}
