import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import { suiteNodes } from "../support/suite-nodes.ts";
import { engineContract } from "./engine.suite.ts";

engineContract({
  name: "process",
  refuses: ["update-cpus", "update-memory", "recreate-image"],
  async setUp(signal) {
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "engine-"));
    const nodes = suiteNodes(stateDir);
    const { engine } = await startSupervisor(
      { instance: path.basename(stateDir), project: "suite", network: "suite_default", stateDir, nodes },
      signal,
    );
    return {
      engine,
      echo: (text) => ["echo", text],
      exitWith: (code) => ["exit", String(code)],
      hang: () => ["hang"],
      async [Symbol.asyncDispose]() {
        await engine.tearDown();
        await engine[Symbol.asyncDispose]();
        await rm(stateDir, { recursive: true, force: true });
      },
    };
  },
});
