import { systemClock } from "../../harness/base/clock.ts";
import { ScriptedEngine, type ScriptedContainer } from "../support/scripted-engine.ts";
import { engineContract } from "./engine.suite.ts";

const greets: ScriptedContainer["prints"] = [
  { stream: "stdout", text: "ready" },
  { stream: "stderr", text: "careful" },
];

const programs: NonNullable<ScriptedContainer["exec"]> = async ([program, argument = ""], signal) => {
  if (program === "hang") await systemClock.sleep(60_000, signal);
  return {
    exitCode: program === "exit" ? Number(argument) : 0,
    stdout: program === "echo" ? `${argument}\n` : "",
    stderr: "",
  };
};

engineContract({
  name: "scripted (double)",
  refuses: [],
  setUp: async () => {
    const engine = new ScriptedEngine(
      systemClock,
      [
        { component: "steady", prints: greets, exec: programs },
        { component: "other", prints: greets },
        {
          component: "stubborn",
          prints: [{ stream: "stdout", text: "ready" }],
          ignoresTerm: true,
          graceMs: 1_000,
          restartPolicy: { name: "no", max: 0 },
        },
        {
          component: "flaky",
          created: true,
          exits: { afterMs: 100, code: 3 },
          restartPolicy: { name: "on-failure", max: 2 },
        },
      ],
      "suite_default",
    );
    return {
      engine,
      echo: (text) => ["echo", text],
      exitWith: (code) => ["exit", String(code)],
      hang: () => ["hang"],
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  },
});
