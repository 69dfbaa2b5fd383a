import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import { suiteNodes } from "../support/suite-nodes.ts";
import { faultContract } from "./fault.suite.ts";

faultContract({
  name: "process",
  async setUp(signal) {
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "faults-"));
    const { engine } = await startSupervisor(
      {
        instance: path.basename(stateDir),
        project: "suite",
        network: "suite_default",
        stateDir,
        nodes: suiteNodes(stateDir),
      },
      signal,
    );
    return {
      engine,
      async [Symbol.asyncDispose]() {
        await engine.tearDown();
        await engine[Symbol.asyncDispose]();
        await rm(stateDir, { recursive: true, force: true });
      },
    };
  },
});
