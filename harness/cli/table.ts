import { Command, Option } from "commander";
import { scenarios } from "../../scenarios/index.ts";
import type { EngineKind, Scenario } from "../protocol.ts";
import type { TrialRecord } from "../store/record.ts";
import { findScenario } from "../trial/scenario-file.ts";
import { SCRIPTED_NOTICE } from "../view/story.ts";
import { chooseSubjectEngine } from "./choose-engine.ts";
import { performTrial } from "./conduct-trial.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { sweep } from "./subjects.ts";
import { SCRIPTED, type OperatorName } from "./trial-options.ts";

interface Flags {
  readonly engines?: EngineKind[];
  readonly operators: OperatorName[];
  readonly scenarios?: string[];
  readonly timeFactor: number;
  readonly seed: number;
  readonly runs: string;
  readonly composeMode?: boolean;
  readonly json?: true;
}

interface Cell {
  readonly scenario: string;
  readonly engine: EngineKind;
  readonly operator: OperatorName;
  readonly verdict: string;
  readonly credit: string;
  readonly diagnosed: boolean | null;
  readonly ending: string;
  readonly stableMs: number | null;
  readonly id: string;
  readonly reasons: readonly string[];
}

/** `lab table`: every scenario with every scripted operator. Shows that the verdicts tell them apart. */
export function tableCommand(io: CliIo): Command {
  return new Command("table")
    .description("runs every scenario with every scripted operator and prints the verdicts side by side")
    .addOption(
      new Option("--engines <engines...>", "default: process, and docker where it can").choices(["process", "docker"]),
    )
    .addOption(new Option("--operators <operators...>").choices(SCRIPTED).default([...SCRIPTED]))
    .option("--scenarios <ids...>", "only these")
    .option("--time-factor <factor>", "of the embedded stand-ins", Number, 0.2)
    .option("--seed <number>", "of every trial", Number, 7)
    .option("--runs <folder>", "where records go", "runs")
    .option("--compose-mode", "every operator goes through a compose-agent")
    .option("--no-compose-mode", "every operator holds the engine itself")
    .option("--json", "machine-readable")
    .action((flags: Flags) => runTable(flags, io));
}

async function runTable(flags: Flags, io: CliIo): Promise<void> {
  await sweep(io, "sweep before a table");
  const chosen = await Promise.all(
    (flags.scenarios ?? scenarios.map(({ id }) => id)).map((id) => findScenario(id, scenarios)),
  );
  io.err(`${SCRIPTED_NOTICE}\n`);
  const cells: Cell[] = [];
  for (const engine of flags.engines ?? (await enginesHere(io)))
    for (const scenario of chosen)
      for (const operator of operatorsFor(scenario, flags.operators)) {
        const cell = await runCell(scenario, engine, operator, flags, io);
        io.err(`${engine}  ${cell.scenario}  ${operator}: ${cellText(cell)}  ${cell.reasons.join("; ")}\n`);
        cells.push(cell);
      }
  io.out(flags.json ? `${JSON.stringify(cells)}\n` : grid(cells, flags.operators));
  if (cells.some(({ verdict }) => verdict === "void")) io.setExitCode(EXIT.void);
}

async function enginesHere(io: CliIo): Promise<readonly EngineKind[]> {
  return (await chooseSubjectEngine("auto", io)) === "docker" ? ["process", "docker"] : ["process"];
}

/** Where nobody is called, one column is enough. */
function operatorsFor(scenario: Scenario, operators: readonly OperatorName[]): readonly OperatorName[] {
  return scenario.control && scenario.ticket === null ? operators.slice(0, 1) : operators;
}

async function runCell(
  scenario: Scenario,
  engine: EngineKind,
  operator: OperatorName,
  { timeFactor, seed, runs, composeMode }: Flags,
  io: CliIo,
): Promise<Cell> {
  const request = {
    scenario,
    engine,
    flags: {
      engine,
      operator,
      baseline: "stored" as const,
      timeFactor: engine === "process" ? timeFactor : 1,
      runs,
      ...(composeMode === undefined ? {} : { composeMode }),
    },
    mode: "execute" as const,
    attach: undefined,
    db: undefined,
  };
  const { record } = await performTrial(request, seed, io, () => {});
  return toCell(record, engine, operator);
}

function toCell(record: TrialRecord, engine: EngineKind, operator: OperatorName): Cell {
  const { status, grade, session, marks, scenario, id, voidReason } = record;
  return {
    scenario: scenario.id,
    engine,
    operator,
    verdict: status === "void" ? "void" : (grade?.verdict ?? "unknown"),
    credit: grade?.credit ?? "-",
    diagnosed: grade?.diagnosed.right ?? null,
    ending: session?.ending ?? "-",
    stableMs: marks.stableMs,
    id,
    reasons: status === "void" ? [voidReason?.message ?? ""] : (grade?.reasons ?? []),
  };
}

function cellText({ verdict, diagnosed, credit }: Cell): string {
  const right = diagnosed === null ? "" : diagnosed ? ", diagnosis right" : ", diagnosis wrong";
  return `${verdict}${right}${credit === "operator" ? ", credit" : ""}`;
}

function grid(cells: readonly Cell[], operators: readonly OperatorName[]): string {
  const rows = [...Map.groupBy(cells, ({ engine, scenario }) => `${engine} ${scenario}`)];
  const width = 36;
  const head = `${"".padEnd(42)}${operators.map((name) => name.padEnd(width)).join("")}\n`;
  const body = rows.map(([name, row]) => {
    const columns = operators.map((operator) => {
      const cell = row.find((one) => one.operator === operator);
      return (cell === undefined ? "-" : cellText(cell)).padEnd(width);
    });
    return `${name.padEnd(42)}${columns.join("")}`.trimEnd();
  });
  return `${head.trimEnd()}\n${body.join("\n")}\n`;
}
