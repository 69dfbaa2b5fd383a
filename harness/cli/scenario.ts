import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { scenarios } from "../../scenarios/index.ts";
import { HarnessError } from "../base/errors.ts";
import type { Scenario } from "../protocol.ts";
import { checkScenario, findScenario, readScenarioFile, scenarioYaml } from "../trial/scenario-file.ts";
import type { CliIo } from "./io.ts";

/** `lab scenario list|show|new|validate`. */
export function scenarioCommand(io: CliIo): Command {
  const command = new Command("scenario").description("scenarios: what breaks, what must hold, what may be touched");
  command
    .command("list")
    .description("the scenarios that come with the lab")
    .option("--json", "machine-readable")
    .action(({ json }: { json?: true }) => io.out(json ? `${JSON.stringify(scenarios)}\n` : table(scenarios)));
  command
    .command("show")
    .description("one scenario, as YAML")
    .argument("<scenario>", "id, or a YAML file")
    .option("--json", "machine-readable")
    .action(async (name: string, { json }: { json?: true }) => {
      const scenario = await findScenario(name, scenarios);
      io.out(json ? `${JSON.stringify(scenario)}\n` : scenarioYaml(scenario));
    });
  command
    .command("new")
    .description("write a YAML file to start from")
    .argument("<file>", "where to write it; must not exist")
    .option("--from <scenario>", "the scenario to copy", "tikv/store-kill")
    .option("--json", "machine-readable")
    .action((file: string, options: { from: string; json?: true }) => create(io, file, options));
  command
    .command("validate")
    .description("check YAML files, or without any the scenarios that come with the lab")
    .argument("[files...]")
    .option("--json", "machine-readable")
    .action((files: string[], options: { json?: true }) => validate(io, files, options));
  return command;
}

async function create(io: CliIo, file: string, { from, json }: { from: string; json?: true }): Promise<void> {
  const scenario = await findScenario(from, scenarios);
  const path = resolve(io.cwd, file);
  const id = `my/${
    file
      .replace(/^.*\//, "")
      .replace(/\.ya?ml$/, "")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "") || "scenario"
  }`;
  if (!/\.ya?ml$/.test(file)) throw new HarnessError("usage", `${file}: a scenario file must end in .yaml`);
  try {
    await writeFile(path, scenarioYaml({ ...scenario, id }), { flag: "wx" });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === "EEXIST";
    throw new HarnessError(
      "usage",
      exists ? `${file} exists; choose another name` : `cannot write ${file}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  io.out(json ? `${JSON.stringify({ file: path, id })}\n` : `wrote ${file}\nnext: npx lab scenario validate ${file}\n`);
}

async function validate(io: CliIo, files: readonly string[], { json }: { json?: true }): Promise<void> {
  const checked =
    files.length === 0
      ? scenarios.map((scenario) => checkScenario(scenario, scenario.id))
      : await Promise.all(files.map((file) => readScenarioFile(resolve(io.cwd, file))));
  io.out(
    json
      ? `${JSON.stringify(checked.map(({ id }) => ({ id, valid: true })))}\n`
      : checked.map(({ id }) => `${id}: valid\n`).join(""),
  );
}

function table(rows: readonly Scenario[]): string {
  const width = Math.max(...rows.map(({ id }) => id.length));
  return rows.map(({ id, title, engines }) => `${id.padEnd(width)}  ${title}  [${engines.join(", ")}]\n`).join("");
}
