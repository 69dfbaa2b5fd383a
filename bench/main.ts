/** `npm run bench [name …]`: runs the benches, prints a table, keeps the figures in `bench/results.json`. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join } from "node:path";
import { isoTime, systemClock } from "../harness/base/clock.ts";
import { randomIds } from "../harness/base/ids.ts";
import { silentLog } from "../harness/base/log.ts";
import { seededRandom } from "../harness/base/random.ts";
import type { Deps } from "../harness/protocol.ts";
import type { Measure } from "./measure.ts";

/** One line per bench; each takes about a minute and leaves nothing behind. */
const BENCHES: Readonly<Record<string, (deps: Deps) => Promise<readonly Measure[]>>> = {
  tickets: async () => await (await import("./tickets.ts")).benchTickets(),
  trial: async () => await (await import("./trial.ts")).benchTrial(),
  detection: async (deps) => await killToTicket(deps),
  puts: async (deps) => await (await import("./puts.ts")).benchPuts(deps),
  start: async (deps) => await (await import("./start.ts")).benchStart(deps),
  promql: async (deps) => await (await import("./promql.ts")).benchPromql(deps),
  control: async (deps) => await (await import("./control.ts")).benchControl(deps),
  rotation: async (deps) => await (await import("./rotation.ts")).benchRotation(deps),
  memory: async (deps) => await (await import("./memory.ts")).benchMemory(deps),
};
const DETECTION_ROUNDS = 10;

const deps: Deps = {
  clock: systemClock,
  random: seededRandom("bench"),
  ids: randomIds,
  log: silentLog,
  fetch: globalThis.fetch,
};
const asked = process.argv.slice(2);
const names = asked.length === 0 ? Object.keys(BENCHES) : asked;
const file = join(import.meta.dirname, "results.json");
const machine = `${platform()} ${arch()}, ${cpus().length} cores, Node ${process.version}`;
const results = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>) : {};
for (const name of names) {
  const bench = BENCHES[name];
  if (bench === undefined) {
    process.stderr.write(`error: no bench "${name}"; there are ${Object.keys(BENCHES).join(", ")}\n`);
    process.exit(2);
  }
  const measures = await bench(deps);
  results[name] = { at: isoTime(systemClock.now()), machine, measures };
  process.stdout.write(`${name} (${machine})\n${measures.map(line).join("")}`);
}
writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);

function line({ name, value, unit }: Measure): string {
  return `  ${name.padEnd(56)} ${value.toFixed(value < 10 ? 2 : 0).padStart(8)} ${unit}\n`;
}

async function killToTicket(deps: Deps): Promise<readonly Measure[]> {
  const { measureDetection } = await import("./detection.ts");
  const found = await measureDetection({ rounds: DETECTION_ROUNDS }, deps, new AbortController().signal);
  return Object.entries({ "engine events": found.withEvents, "its own looks": found.withoutEvents }).flatMap(
    ([how, { p50Ms, p95Ms }]) => [
      { name: `store killed -> ticket, by ${how}, p50`, value: p50Ms, unit: "ms" },
      { name: `store killed -> ticket, by ${how}, p95`, value: p95Ms, unit: "ms" },
    ],
  );
}
