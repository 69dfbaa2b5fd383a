import { accessSync, constants, existsSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { dirname } from "node:path";
import { Command, Option } from "commander";
import { errorText } from "../base/errors.ts";
import { stateRoot } from "../engine/instances.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";

/** One line of the report. */
export interface Finding {
  readonly what: string;
  /** `info`: fine as it is, but something optional is not to be had. */
  readonly state: "ok" | "info" | "problem";
  readonly text: string;
}

const NEEDED_BYTES = 1.5 * 1024 ** 3;

/** `lab doctor`: what this machine can run, and what to do about what it cannot. */
export function doctorCommand(io: CliIo): Command {
  return new Command("doctor")
    .description("what this machine can run, and what is missing for the rest")
    .addOption(
      new Option("--operator <operator>", "also try this operator: one cheap call of its model").choices(["claude"]),
    )
    .option("--model <model>", "with --operator claude: the model to try")
    .option("--json", "machine-readable")
    .action(async (options: { operator?: string; model?: string; json?: true }) => {
      const { controlFindings } = await import("./doctor-control.ts");
      const engine = await docker(io);
      const findings = [
        nodeVersion(),
        memory(),
        stateFolder(io),
        ...engine,
        ...(await controlFindings(
          io,
          engine.every(({ state }) => state === "ok"),
        )),
        ...(options.operator === "claude" ? [await claude(io, options.model)] : []),
      ];
      if (findings.some(({ state }) => state === "problem")) io.setExitCode(EXIT.notPassed);
      const mark = { ok: "ok     ", info: "-      ", problem: "PROBLEM" } as const;
      io.out(
        options.json
          ? `${JSON.stringify(findings)}\n`
          : findings.map(({ what, state, text }) => `${mark[state]}  ${what.padEnd(14)}  ${text}\n`).join(""),
      );
    });
}

function nodeVersion(): Finding {
  return { what: "node", state: "ok", text: process.version };
}

function memory(): Finding {
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const text = `${gib(freemem())} free of ${gib(totalmem())}; the embedded cluster takes about ${gib(NEEDED_BYTES)}`;
  return { what: "memory", state: freemem() >= NEEDED_BYTES ? "ok" : "info", text };
}

function stateFolder(io: CliIo): Finding {
  const root = stateRoot(io.env);
  let folder = root;
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    return { what: "state folder", state: "ok", text: root };
  } catch {
    return {
      what: "state folder",
      state: "problem",
      text: `cannot write to ${folder}; change its owner, or set AGENT_LAB_HOME to a folder of yours`,
    };
  }
}

async function docker(io: CliIo): Promise<Finding[]> {
  const { dockerReadiness } = await import("../../subjects/tikv/adapter-docker.ts");
  const why = await dockerReadiness(io.signal);
  return [
    why === null
      ? { what: "docker", state: "ok", text: "the engine answers and the images are there" }
      : { what: "docker", state: "info", text: `${why}; the embedded cluster needs none of it` },
  ];
}

async function claude(io: CliIo, model: string | undefined): Promise<Finding> {
  if ((io.env["ANTHROPIC_API_KEY"] ?? "") === "")
    return { what: "claude", state: "problem", text: "ANTHROPIC_API_KEY is not set" };
  try {
    const { tryClaude } = await import("../agent/operators/claude/try.ts");
    return { what: "claude", state: "ok", text: await tryClaude(io.env, model, io.signal) };
  } catch (error) {
    return { what: "claude", state: "problem", text: errorText(error) };
  }
}
