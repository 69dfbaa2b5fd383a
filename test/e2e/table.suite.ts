import { expect, test } from "vitest";
import { scenarios } from "../../scenarios/index.ts";
import type { EngineKind } from "../../harness/protocol.ts";
import { briefScenario } from "../support/brief-scenario.ts";
import { labHome } from "../support/lab-process.ts";
import { expected } from "./expected.ts";

interface Cell {
  readonly verdict: string;
  readonly diagnosed: boolean | null;
  readonly credit: string;
}

const TRIAL_TIMEOUT_MS = 280_000;

/** One test per cell: a whole trial each, through the command line. */
export function tableTests(
  engine: EngineKind,
  cells: readonly (readonly [scenario: string, operator: string])[],
  env: Readonly<Record<string, string>> = {},
): void {
  test.each(cells)(
    `${engine}: %s with %s`,
    async (scenario, operator) => {
      await using home = await labHome(env);
      const played = operator === "noop" ? await briefScenario(scenario, home.folder) : scenario;
      const table = home.run("table", "--json", "--engines", engine, "--scenarios", played, "--operators", operator);
      expect(await table.ended, table.stderr()).toBe(0);
      const [cell] = JSON.parse(table.stdout()) as [Cell];
      const want = expected[scenario]?.[operator as "runbook"];
      expect(want, `${scenario} with ${operator} is not in expected.ts`).toBeDefined();
      const diagnosed = want?.diagnosed === false ? expect.toSatisfy((said) => said !== true) : want?.diagnosed;
      expect(cell, table.stderr()).toMatchObject({ verdict: want?.verdict, diagnosed });
      // Without stored runs of the very same key nothing is shown about who deserves it.
      if (want?.credit !== undefined)
        expect(cell.credit).toMatch(want.credit === "operator" ? /^(operator|not-shown)$/ : /^none$/);
    },
    TRIAL_TIMEOUT_MS,
  );
}

/** What CI runs on each engine. The whole table is `npm run table`. */
export const column = scenarios.map(({ id }) => [id, "runbook"] as const);
