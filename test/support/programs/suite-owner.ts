/** Owns an embedded instance of suite nodes until it is killed: `suite-owner.ts <root> <id> [detach]`. */
import { isoTime, systemClock } from "../../../harness/base/clock.ts";
import { claimInstance, writeInstance } from "../../../harness/engine/instances.ts";
import { startSupervisor } from "../../../harness/engine/process/start-supervisor.ts";
import { suiteNode } from "../suite-nodes.ts";

const [root = "", id = "", detach] = process.argv.slice(2);
const since = isoTime(systemClock.now());
const owned = claimInstance(root, id, { pid: process.pid, what: "suite owner", since });
const stateDir = owned.paths.dir;
const never = new AbortController().signal;
const { engine, sockets } = await startSupervisor(
  {
    instance: id,
    project: "suite",
    network: "suite_default",
    stateDir,
    nodes: [suiteNode(stateDir, "steady", "steady"), suiteNode(stateDir, "frozen", "orphan")],
  },
  never,
);
const detached = detach === "detach";
writeInstance(stateDir, {
  ...{ version: 1, id, kind: "process", subject: "suite", project: "suite", network: "suite_default" },
  ...{ createdAt: since, detached, timeFactor: 1, sockets, components: [], subjectData: {} },
});
if (detached) await engine.detach(never);
process.stdout.write(`${JSON.stringify(sockets)}\n`);
// Holds on until it is killed, or until its stdin ends.
process.stdin.on("end", () => process.exit(0)).resume();
