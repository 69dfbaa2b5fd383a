import { Command } from "commander";
import { storeKill } from "../../scenarios/tikv/store-kill.ts";
import { chooseEngine } from "./choose-engine.ts";
import { conductTrial } from "./conduct-trial.ts";
import type { CliIo } from "./io.ts";
import { addTrialFlags, checkTrialFlags, isScripted, type TrialFlags } from "./trial-options.ts";

/** A person watches: the stand-ins run five times as fast unless a model is at work. */
const DEMO_TIME_FACTOR = 0.2;
const DEMO_SEED = 7;

/** `lab demo`: the whole path on the embedded cluster, in about half a minute. */
export function demoCommand(io: CliIo): Command {
  return addTrialFlags(
    new Command("demo").description(
      "starts a cluster, breaks a store, watches an operator repair it, judges the outcome; needs only Node",
    ),
    { engine: "process" },
  ).action(async (flags: TrialFlags) => {
    const { mode } = checkTrialFlags(flags, io);
    const engine = await chooseEngine(flags.engine, storeKill, io);
    const scaled = engine === "process" && isScripted(flags.operator);
    await conductTrial(
      {
        scenario: storeKill,
        engine,
        flags: {
          ...flags,
          seed: flags.seed ?? DEMO_SEED,
          timeFactor: flags.timeFactor ?? (scaled ? DEMO_TIME_FACTOR : 1),
        },
        mode,
        attach: undefined,
        db: undefined,
      },
      io,
    );
    if (flags.json !== true && engine === "process")
      io.out("the real TiKV, with Docker: npx lab run tikv/store-kill --engine docker\n");
  });
}
