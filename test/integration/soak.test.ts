import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { runSoak } from "../soak/run-soak.ts";

const FOR_MS = 30_000;

test(
  "an embedded cluster under load and random faults loses nothing, comes back each time and complains of nothing else",
  {
    timeout: 400_000,
  },
  async ({ signal }) => {
    const root = await mkdtemp(path.join(os.tmpdir(), "soak-"));
    try {
      const seed = 20_261_121;
      const deps = { clock: systemClock, random: seededRandom(seed), ids: randomIds, log: silentLog, fetch };
      const said: string[] = [];
      const say = (line: string): void => void said.push(line);
      const options = {
        root,
        forMs: FOR_MS,
        leastRounds: 2,
        seed,
        timeFactor: 0.2,
        ratePerSecond: 60,
        logFolder: null,
        say,
      };
      const result = await runSoak(options, deps, signal);
      expect(result.problems, said.join("\n")).toEqual([]);
      expect(result.unexpectedLines).toEqual([]);
      expect(result).toMatchObject({ lostWrites: 0 });
      expect(result.acknowledgedWrites).toBeGreaterThan(100);
      expect(result.reads).toBeGreaterThan(100);
      expect(result.rounds.length).toBeGreaterThan(1);
      expect(result.vitals.map(({ component }) => component)).toEqual(["pd0", "pd1", "pd2", "tikv0", "tikv1", "tikv2"]);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
);
