import { expect } from "vitest";
import type { Theme } from "./sim-plan.ts";
import { runSchedules } from "./sim-schedule.ts";
import { addStats, newStats, printStats, type SimStats } from "./sim-stats.ts";

/** With nine themes, ten thousand schedules and a few. */
export const SCHEDULES_OF_A_THEME = 1_112;
/** Several times what it takes on one busy core. */
export const SCHEDULES_TIMEOUT_MS = 240_000;

/** What the schedules of one test file exercised together. */
export class ScheduleTally {
  readonly #sum = newStats();

  /** @throws Error that tells the story of the first schedule that breaks a promise. */
  async hold(theme: Theme): Promise<void> {
    const stats = await runSchedules(theme, 0, SCHEDULES_OF_A_THEME);
    addStats(this.#sum, stats);
    process.stdout.write(`${theme}: ${printStats(stats)}\n`);
    expect(stats.operations).toBeGreaterThan(SCHEDULES_OF_A_THEME * 20);
  }

  /** A kind of trouble that never came proves nothing. */
  expectEveryKind(): void {
    const never = (Object.keys(this.#sum) as (keyof SimStats)[]).filter((kind) => this.#sum[kind] === 0);
    expect(never).toEqual([]);
  }
}
