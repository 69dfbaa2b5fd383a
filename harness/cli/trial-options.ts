import { InvalidArgumentError, Option, type Command } from "commander";
import { HarnessError } from "../base/errors.ts";
import { SAFETY_MODES } from "../base/safety-mode.ts";
import type { SafetyMode } from "../protocol.ts";
import type { CliIo } from "./io.ts";

/** What `--operator` takes; `oracle` knows the answer and is for checking scenarios. */
export const OPERATORS = ["runbook", "claude", "human", "external", "noop", "restart-everything", "oracle"] as const;
export type OperatorName = (typeof OPERATORS)[number];

/** They follow a script: their results show the lab and say nothing about anybody's skill. */
export const SCRIPTED: readonly OperatorName[] = ["runbook", "noop", "restart-everything", "oracle"];
export const isScripted = (operator: OperatorName): boolean => SCRIPTED.includes(operator);

export interface TrialFlags {
  readonly seed?: number;
  readonly engine: "auto" | "process" | "docker";
  readonly operator: OperatorName;
  readonly model?: string;
  readonly maxUsd?: number;
  readonly baseline: "stored" | "none";
  readonly timeFactor?: number;
  readonly runs: string;
  readonly safetyMode?: SafetyMode;
  readonly runbooks?: string[];
  readonly composeMode?: boolean;
  readonly json?: true;
}

/** The flags that `demo` and `run` share. */
export function addTrialFlags(command: Command, defaults: { engine: TrialFlags["engine"] }): Command {
  return command
    .option("--seed <number>", "chooses the victim and the workload; default: drawn, and printed", seed)
    .addOption(
      new Option("--engine <engine>", "process: embedded stand-ins; docker: containers; auto: docker where it can")
        .choices(["auto", "process", "docker"])
        .default(defaults.engine),
    )
    .addOption(new Option("--operator <operator>", "who works the ticket").choices(OPERATORS).default("runbook"))
    .option("--model <model>", "with --operator claude: another model than the default")
    .option("--max-usd <amount>", "with --operator claude: stop at this cost; default 2", amount)
    .addOption(
      new Option("--baseline <what>", "stored: compare with stored runs without an operator")
        .choices(["stored", "none"])
        .default("stored"),
    )
    .option("--time-factor <factor>", "scales the stand-ins' own timers; scripted operators only", factor)
    .addOption(
      new Option(
        "--safety-mode <mode>",
        "observe: nothing is changed; propose: each change waits for a person (`lab approve`); default: OPERATOR_SAFETY_MODE, else execute",
      ).choices(SAFETY_MODES),
    )
    .option("--runs <folder>", "where records go", "runs")
    .option("--runbooks <folder...>", "with --operator runbook: runbooks of yours, beside the kit's")
    .option(
      "--compose-mode",
      "the operator has no engine: every action is a signed, audited command to a compose-agent",
    )
    .option("--no-compose-mode", "the operator holds the engine itself, whatever COMPOSE_AGENT_ENABLED says")
    .option("--json", "the record as JSON on stdout, nothing else");
}

/** @throws HarnessError for combinations that make no sense. */
export function checkTrialFlags(flags: TrialFlags, io: CliIo): { mode: SafetyMode } {
  const { operator, model, maxUsd, timeFactor, runbooks } = flags;
  if (operator !== "claude" && (model !== undefined || maxUsd !== undefined))
    throw new HarnessError("usage", "--model and --max-usd go with --operator claude");
  if (operator !== "runbook" && runbooks !== undefined)
    throw new HarnessError("usage", "--runbooks goes with --operator runbook");
  if (!isScripted(operator) && timeFactor !== undefined && timeFactor !== 1)
    throw new HarnessError("usage", "--time-factor is for scripted operators: people and models work in real time");
  if (operator === "human" && flags.json === true)
    throw new HarnessError("usage", "--json does not go with --operator human: the terminal is the person's");
  if (operator === "human" && !(io.stdinIsTty && io.stdoutIsTty))
    throw new HarnessError("config-invalid", "--operator human needs a terminal: input or output is not one");
  if (operator === "claude" && (io.env["ANTHROPIC_API_KEY"] ?? "") === "")
    throw new HarnessError(
      "api-key-missing",
      "--operator claude needs ANTHROPIC_API_KEY in the environment; without one, leave --operator away",
    );
  return { mode: flags.safetyMode ?? safetyMode(io.env) };
}

/** From the environment; `execute` unless it says otherwise. @throws HarnessError `config-invalid` */
export function safetyMode(env: CliIo["env"]): SafetyMode {
  const asked = env["OPERATOR_SAFETY_MODE"] || "execute";
  const mode = SAFETY_MODES.find((known) => known === asked);
  if (mode === undefined)
    throw new HarnessError(
      "config-invalid",
      `OPERATOR_SAFETY_MODE is "${asked}"; it can be ${SAFETY_MODES.slice(0, -1).join(", ")} or ${SAFETY_MODES.at(-1)}`,
    );
  return mode;
}

function seed(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a whole number from 0 to 999999999.");
  return Number(text);
}

function amount(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1_000)) throw new InvalidArgumentError("an amount above 0, at most 1000.");
  return value;
}

/** Of `--time-factor`. @throws InvalidArgumentError */
export function factor(text: string): number {
  const value = Number(text);
  if (!(value >= 0.05 && value <= 10)) throw new InvalidArgumentError("a number from 0.05 to 10.");
  return value;
}
