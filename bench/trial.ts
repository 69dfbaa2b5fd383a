import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { quantile } from "../harness/stats/quantile.ts";
import type { TrialEvent } from "../harness/protocol.ts";
import { labHome } from "../test/support/lab-process.ts";
import type { Measure } from "./measure.ts";

const ROUNDS = 3;

/**
 * The demo as a newcomer starts it, packages installed: wall time, and where it goes. "The lab's own" is what neither
 * the subject's start, nor waiting for a state that must last, nor the operator takes: judging, reading back,
 * collecting, ending.
 */
export async function benchTrial(): Promise<readonly Measure[]> {
  const rounds: Spent[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await oneDemo());
  const median = (pick: (round: Spent) => number) => quantile(rounds.map(pick), 0.5);
  const wallMs = median(({ wall }) => wall);
  const ownMs = median(({ own }) => own);
  return [
    { name: "demo, wall time (median of 3)", value: wallMs / 1000, unit: "s" },
    { name: "  until the cluster is ready", value: median(({ ready }) => ready) / 1000, unit: "s" },
    { name: "  waiting for the steady state", value: median(({ steady }) => steady) / 1000, unit: "s" },
    { name: "  from the harm to the end of watching", value: median(({ watched }) => watched) / 1000, unit: "s" },
    { name: "  the lab's own: data check, collecting, ending", value: ownMs / 1000, unit: "s" },
    { name: "  the lab's own share of the demo", value: (100 * ownMs) / wallMs, unit: "%" },
  ];
}

interface Spent {
  readonly wall: number;
  readonly ready: number;
  readonly steady: number;
  readonly watched: number;
  readonly own: number;
}

async function oneDemo(): Promise<Spent> {
  await using home = await labHome();
  const started = performance.now();
  const demo = home.run("demo");
  const code = await demo.ended;
  const wall = performance.now() - started;
  if (code !== 0) throw new Error(`the demo ended with ${code}:\n${demo.stdout()}\n${demo.stderr()}`);
  const folder = /^record: (.*)$/m.exec(demo.stdout())?.[1] ?? "";
  const events = (await readFile(join(home.folder, folder, "events.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as TrialEvent);
  const at = (phase: string): number =>
    events.find((event) => event.type === "phase" && event.phase === phase)?.at ?? Number.NaN;
  const ready = at("steady") - at("deploy");
  const steady = at("harm") - at("steady");
  const watched = at("heal") - at("harm");
  return { wall, ready, steady, watched, own: wall - ready - steady - watched };
}
