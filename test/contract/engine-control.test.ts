import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openControlEngine } from "../../harness/control/client/index.ts";
import { openProcessEngine } from "../../harness/engine/process/client.ts";
import { engineSocket } from "../../harness/engine/process/paths.ts";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import type { OwnerEngine } from "../../harness/protocol.ts";
import { startControl } from "../support/control-server.ts";
import { suiteNodes } from "../support/suite-nodes.ts";
import { engineContract } from "./engine.suite.ts";

/** Tools that work on an engine work through the control API as well: the same suite, over the process engine. */
engineContract({
  name: "control API",
  refuses: ["update-cpus", "update-memory", "recreate-image", "crash", "cut"],
  async setUp(signal) {
    const scope = new AsyncDisposableStack();
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "engine-"));
    scope.defer(() => rm(stateDir, { recursive: true, force: true }));
    const nodes = suiteNodes(stateDir);
    const project = { instance: path.basename(stateDir), project: "suite", network: "suite_default" };
    const { engine: owner } = await startSupervisor({ ...project, stateDir, nodes }, signal);
    scope.defer(async () => {
      await owner.tearDown();
      await owner[Symbol.asyncDispose]();
    });
    const below = scope.use(await openProcessEngine({ socketPath: engineSocket(stateDir) }, signal));
    const control = scope.use(
      await startControl({ engine: below, limits: { requestsPerSecond: 10_000, burst: 10_000 } }),
    );
    const engine = scope.use(await openControlEngine({ client: control.client("compose_agent") }, signal));
    return {
      engine: engine as OwnerEngine,
      echo: (text) => ["echo", text],
      exitWith: (code) => ["exit", String(code)],
      hang: () => ["hang"],
      [Symbol.asyncDispose]: () => scope.disposeAsync(),
    };
  },
});
