import path from "node:path";
import type { NodeSpec } from "../../harness/engine/process/spec.ts";

const programs = path.join(import.meta.dirname, "programs");
const execProgram = path.join(programs, "suite-exec.ts");

/** One process as the supervisor starts it. */
export function suiteNode(stateDir: string, component: string, behaviour: string): NodeSpec {
  return {
    component,
    role: "suite",
    image: "suite:1",
    argv: [path.join(programs, "suite-node.ts"), behaviour],
    env: {},
    cwd: path.join(stateDir, "nodes", component),
    restartPolicy: { name: "unless-stopped", max: 0 },
    stopGraceMs: 1_000,
    ports: {},
    programs: { echo: [execProgram, "echo"], exit: [execProgram, "exit"], hang: [execProgram, "hang"] },
  };
}

/** The four components of the engine contract suite. */
export function suiteNodes(stateDir: string): NodeSpec[] {
  return [
    suiteNode(stateDir, "steady", "steady"),
    suiteNode(stateDir, "other", "steady"),
    { ...suiteNode(stateDir, "stubborn", "stubborn"), restartPolicy: { name: "no", max: 0 } },
    { ...suiteNode(stateDir, "flaky", "flaky"), restartPolicy: { name: "on-failure", max: 2 }, autoStart: false },
  ];
}
