/** `npm run soak -- --minutes 10 --seed 1`: see test/soak/README.md. Exit code 0 = all held, 1 = not, 130 = interrupted. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { runSoak, type SoakResult } from "./run-soak.ts";

const flags = z
  .object({
    minutes: z.coerce.number().positive().default(10),
    seed: z.coerce.number().int().default(1),
    "time-factor": z.coerce.number().positive().max(1).default(0.2),
    rate: z.coerce.number().positive().default(100),
    json: z.string().optional(),
  })
  .safeParse(
    parseArgs({
      options: {
        minutes: { type: "string" },
        seed: { type: "string" },
        "time-factor": { type: "string" },
        rate: { type: "string" },
        json: { type: "string" },
      },
    }).values,
  );
if (!flags.success) {
  process.stderr.write(`error: ${z.prettifyError(flags.error)}\n`);
  process.exit(2);
}
const { minutes, seed, rate, json, "time-factor": timeFactor } = flags.data;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => interrupted.abort());

const root = await mkdtemp(path.join(os.tmpdir(), "soak-"));
try {
  const deps = {
    clock: systemClock,
    random: seededRandom(seed),
    ids: randomIds,
    log: silentLog,
    fetch: globalThis.fetch,
  };
  say(`${minutes} minutes of random faults on a TiKV stand-in cluster; seed ${seed}, time factor ${timeFactor}`);
  const logFolder = path.join(os.tmpdir(), `soak-logs-${deps.ids.hex(4)}`);
  const options = {
    root,
    forMs: minutes * 60_000,
    leastRounds: 1,
    seed,
    timeFactor,
    ratePerSecond: rate,
    logFolder,
    say,
  };
  const result = await runSoak(options, deps, interrupted.signal);
  report(result);
  if (result.problems.length > 0) say(`the nodes' logs: ${logFolder}`);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(result, null, 2)}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : result.problems.length === 0 ? 0 : 1;
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  say("interrupted before there was anything to judge; nothing is left running");
  process.exitCode = 130;
} finally {
  await rm(root, { recursive: true, force: true });
}

function report(result: SoakResult): void {
  const { rounds, operations, okRatio, acknowledgedWrites, lostWrites, reads, recoveredMs, vitals, problems } = result;
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  say("");
  say(
    `${rounds.length} rounds in ${seconds(result.tookMs)} s; well again after ${
      recoveredMs === null ? "-" : `${seconds(recoveredMs.p50)} s (median), ${seconds(recoveredMs.max)} s at most`
    }`,
  );
  say(`${operations} operations, ${(100 * okRatio).toFixed(1)} % succeeded; ${reads} reads checked`);
  say(`${acknowledgedWrites} writes acknowledged, ${lostWrites ?? "unknown how many"} lost`);
  say(`${result.logLines} log lines, ${result.unexpectedLines.length} of them not expected`);
  for (const { component, atMs, text } of result.unexpectedLines.slice(0, 20))
    say(`  ${component} ${atMs === null ? "" : new Date(atMs).toISOString()} ${text}`);
  say("node    largest   growth      open files   answers p50 / p99");
  for (const node of vitals)
    say(
      [
        node.component.padEnd(7),
        `${node.largestMb.toFixed(0)} MB`.padEnd(9),
        (node.growthMbPerMinute === null ? "-" : `${node.growthMbPerMinute.toFixed(2)} MB/min`).padEnd(12),
        `${node.openFilesFirstHalf} -> ${node.openFilesSecondHalf}`.padEnd(12),
        `${node.answerP50Ms?.toFixed(0) ?? "-"} / ${node.answerP99Ms?.toFixed(0) ?? "-"} ms`,
      ].join(" "),
    );
  for (const problem of problems) say(`PROBLEM ${problem}`);
  say(problems.length === 0 ? "all held" : `${problems.length} problems`);
}
