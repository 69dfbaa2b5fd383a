import { readFile } from "node:fs/promises";
import { isMap, isNode, isScalar, LineCounter, parseDocument, stringify, type Scalar, type YAMLMap } from "yaml";
import type { z } from "zod";
import { ConfigError, HarnessError } from "../base/errors.ts";
import { faultKinds } from "../faults/registry.ts";
import type { Scenario } from "../protocol.ts";
import { scenarioSchema } from "../store/record.ts";

/** @throws ConfigError naming what is wrong, with the path inside the scenario. */
export function checkScenario(value: unknown, where: string): Scenario {
  const parsed = scenarioSchema.safeParse(value);
  if (!parsed.success)
    throw new ConfigError(
      `${where}: ${parsed.error.issues.map((issue) => `${pathText(issue.path)}: ${issue.message}`).join("; ")}`,
    );
  const problem = contradiction(parsed.data);
  if (problem !== null) throw new ConfigError(`${where}: ${problem}`);
  return parsed.data;
}

function contradiction(scenario: Scenario): string | null {
  const unknown = scenario.faults.find((fault) => !faultKinds.includes(fault.kind));
  if (unknown !== undefined) return `unknown fault kind "${unknown.kind}"; there are: ${faultKinds.join(", ")}`;
  if (scenario.control && scenario.faults.length > 0) return "a control has no faults; set control to false";
  if (!scenario.control && scenario.faults.length === 0) return "no faults; a scenario without any is a control";
  if (!scenario.control && scenario.ticket !== null) return "the monitor opens the ticket; `ticket` is for controls";
  return null;
}

/**
 * A scenario by its id, or from a YAML file (anything that ends in .yaml or .yml).
 *
 * @throws HarnessError `not-found` with the ids there are; ConfigError with file and line.
 */
export async function findScenario(nameOrFile: string, known: readonly Scenario[]): Promise<Scenario> {
  if (/\.ya?ml$/.test(nameOrFile)) return readScenarioFile(nameOrFile);
  const found = known.find((scenario) => scenario.id === nameOrFile);
  if (found !== undefined) return found;
  throw new HarnessError(
    "not-found",
    `no scenario "${nameOrFile}"; there are: ${known.map(({ id }) => id).join(", ")}; a file must end in .yaml`,
  );
}

export async function readScenarioFile(path: string): Promise<Scenario> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : "it cannot be read";
    throw new HarnessError("not-found", `scenario file ${path}: ${why}`, { cause: error });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const syntax = document.errors[0];
  if (syntax !== undefined)
    throw new ConfigError(
      `${path}, line ${lines.linePos(syntax.pos[0]).line}: ${syntax.message.replace(/ at line .*/s, "")}`,
    );
  const parsed = scenarioSchema.safeParse(document.toJS());
  if (!parsed.success) {
    const told = parsed.error.issues.map((issue) => `line ${lineOf(issue)}: ${pathText(issue.path)}: ${issue.message}`);
    throw new ConfigError(`${path}, ${told.join("; ")}`);
  }
  return checkScenario(parsed.data, path);

  /** The nearest node that exists: a missing key is reported at the map that lacks it, a wrong one where it stands. */
  function lineOf(issue: z.core.$ZodIssue): number {
    for (let depth = issue.path.length; depth >= 0; depth--) {
      const node = depth === 0 ? document.contents : document.getIn(issue.path.slice(0, depth), true);
      if (!isNode(node) || !node.range) continue;
      const wrong = issue.code === "unrecognized_keys" && isMap(node) ? keyNode(node, issue.keys[0]) : null;
      return lines.linePos((wrong?.range ?? node.range)[0]).line;
    }
    return 1;
  }
}

function keyNode(map: YAMLMap, name: string | undefined): Scalar | null {
  const keys = map.items.map((pair) => pair.key);
  return keys.find((key): key is Scalar => isScalar(key) && key.value === name) ?? null;
}

/** A scenario as a YAML file to start from. */
export function scenarioYaml(scenario: Scenario): string {
  return [
    "# A scenario of your own: change what you need, check it with `lab scenario validate <file>`,",
    "# run it with `lab run <file>`. Durations are in milliseconds.",
    stringify(scenario, { lineWidth: 110, aliasDuplicateObjects: false }),
  ].join("\n");
}

const pathText = (path: readonly PropertyKey[]): string => (path.length === 0 ? "(top)" : path.map(String).join("."));
