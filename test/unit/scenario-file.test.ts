import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { causes } from "../../subjects/tikv/kit/causes.ts";
import { scenarios } from "../../scenarios/index.ts";
import { storeKill } from "../../scenarios/tikv/store-kill.ts";
import { checkScenario, findScenario, readScenarioFile, scenarioYaml } from "../../harness/trial/scenario-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "scenario-"));
});
afterEach(() => rm(folder, { recursive: true }));

const file = async (text: string): Promise<string> => {
  const path = join(folder, "mine.yaml");
  await writeFile(path, text);
  return path;
};

it("a scenario survives the way through YAML", async () => {
  for (const scenario of scenarios)
    expect(await readScenarioFile(await file(scenarioYaml(scenario)))).toEqual(scenario);
});

describe("what is wrong is named with file and line", () => {
  const lineOf = (text: string, wanted: RegExp) => text.split("\n").findIndex((line) => wanted.test(line)) + 1;

  it("a value of the wrong type", async () => {
    const text = scenarioYaml(storeKill).replace("atMs: 0", "atMs: soon");
    await expect(readScenarioFile(await file(text))).rejects.toThrow(
      `mine.yaml, line ${lineOf(text, /atMs: soon/)}: faults.0.atMs: Invalid input: expected number, received string`,
    );
  });

  it("a key that does not exist", async () => {
    const text = scenarioYaml(storeKill).replace("control: false", "contrl: false");
    await expect(readScenarioFile(await file(text))).rejects.toThrow(
      `line ${lineOf(text, /contrl/)}: (top): Unrecognized key: "contrl"`,
    );
  });

  it("broken YAML", async () => {
    await expect(readScenarioFile(await file("a: [1\nb: 2"))).rejects.toThrow(/mine\.yaml, line 2: /);
  });

  it("a fault that does not exist, a control with faults", async () => {
    const unknown = scenarioYaml(storeKill).replace("kind: kill", "kind: melt");
    await expect(readScenarioFile(await file(unknown))).rejects.toThrow('unknown fault kind "melt"; there are: kill,');
    const control = scenarioYaml(storeKill).replace("control: false", "control: true");
    await expect(readScenarioFile(await file(control))).rejects.toThrow("a control has no faults");
  });

  it("a file that is not there, an id that is not known", async () => {
    await expect(findScenario(join(folder, "no.yaml"), scenarios)).rejects.toThrow("there is no such file");
    await expect(findScenario("tikv/no", scenarios)).rejects.toThrow(
      'no scenario "tikv/no"; there are: tikv/store-kill',
    );
  });
});

describe("the scenarios that come with the lab", () => {
  it.each(scenarios.map((scenario) => [scenario.id, scenario] as const))("%s is valid", (id, scenario) => {
    expect(checkScenario(scenario, id)).toEqual(scenario);
  });

  it("have ids of their own and accept only published causes", () => {
    expect(new Set(scenarios.map(({ id }) => id)).size).toBe(scenarios.length);
    const published = new Set(causes.map(({ id }) => id));
    for (const { accepts } of scenarios) for (const { cause } of accepts) expect(published).toContain(cause);
  });
});
