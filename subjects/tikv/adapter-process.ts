import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isoTime } from "../../harness/base/clock.ts";
import { HarnessError } from "../../harness/base/errors.ts";
import { compileCacheFor, readInstance, writeInstance, type InstanceRecord } from "../../harness/engine/instances.ts";
import { openOwnerEngine, type ProcessOwnerEngine } from "../../harness/engine/process/client.ts";
import { processKeeper } from "../../harness/engine/process/keeper.ts";
import { freePortBlock, requireFree } from "../../harness/engine/process/ports.ts";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import type { DeployOptions, Deps } from "../../harness/protocol.ts";
import { alertRules, RULES_FILE } from "./alert-rules.ts";
import { EmbeddedInstance } from "./embedded-instance.ts";
import {
  PORT_COUNT,
  embeddedComponents,
  embeddedNodes,
  nodeFolder,
  portMap,
  portMapSchema,
  prometheusConfig,
  TIKV_CONFIG,
  tikvConfig,
  type EmbeddedLayout,
} from "./embedded.ts";

/** Another instance may take the block that we saw free; then the next one is tried. */
const PORT_ATTEMPTS = 5;

/**
 * Starts a cluster of stand-ins as processes. The caller has claimed `stateDir` (`claimInstance`) and waits for it with
 * `waitReady`.
 *
 * @throws HarnessError `port-taken`, `internal`; nothing is left running.
 */
export async function deployEmbedded(
  options: DeployOptions,
  deps: Deps,
  signal: AbortSignal,
): Promise<EmbeddedInstance> {
  if (options.engine !== "process")
    throw new HarnessError(
      "not-supported",
      `the embedded cluster runs on the process engine, not on ${options.engine}`,
    );
  await requireFree(Object.values(options.ports ?? {}));
  for (let attempt = 1; ; attempt++) {
    const block = await freePortBlock(PORT_COUNT, deps.random.fork(`${options.id}/ports/${attempt}`));
    const layout: EmbeddedLayout = {
      stateDir: options.stateDir,
      ports: portMap(block.ports, options.ports),
      timeFactor: options.timeFactor,
    };
    try {
      return await start(options, layout, block.guardPort, deps, signal);
    } catch (error) {
      const lostRace = error instanceof HarnessError && error.code === "port-taken" && attempt < PORT_ATTEMPTS;
      if (!lostRace) throw error;
    }
  }
}

/** What a sweep does with embedded clusters whose owner is gone. */
export const embeddedKeeper = processKeeper;

/** The owner's engine of a recorded cluster, e.g. to heal it; does not keep it alive. */
export function openEmbeddedOwner(record: InstanceRecord, signal: AbortSignal): Promise<ProcessOwnerEngine> {
  if (record.sockets === null) throw new HarnessError("not-found", `instance ${record.id} was never started`);
  return openOwnerEngine({ socketPath: record.sockets.owner, hold: false }, signal);
}

/**
 * Opens a cluster that was deployed earlier, by its state folder. Disposing it lets go if it is detached.
 *
 * @throws HarnessError `not-found` when there is none in that folder, `engine-unreachable` when it does not run.
 */
export async function bootEmbeddedFrom(stateDir: string, deps: Deps, signal: AbortSignal): Promise<EmbeddedInstance> {
  const record = readInstance(stateDir);
  if (record === null || record.kind !== "process" || record.sockets === null)
    throw new HarnessError("not-found", `there is no embedded cluster in ${stateDir}`);
  const engine = await openOwnerEngine({ socketPath: record.sockets.owner, hold: !record.detached }, signal);
  const ports = portMapSchema.parse(record.subjectData["ports"]);
  return new EmbeddedInstance({ layout: { stateDir, ports, timeFactor: record.timeFactor }, record, engine, deps });
}

async function start(
  options: DeployOptions,
  layout: EmbeddedLayout,
  guardPort: number,
  deps: Deps,
  signal: AbortSignal,
): Promise<EmbeddedInstance> {
  const { id, stateDir, project, network } = options;
  const nodes = embeddedNodes(layout);
  const wasEmpty = nodes.every(({ cwd }) => !existsSync(path.join(cwd, "data")));
  const metricsFolder = nodeFolder(stateDir, "prometheus");
  mkdirSync(metricsFolder, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(metricsFolder, "prometheus.yml"), prometheusConfig(layout));
  for (const { cwd } of nodes.filter(({ role }) => role === "tikv")) {
    mkdirSync(cwd, { recursive: true, mode: 0o700 });
    writeFileSync(path.join(cwd, TIKV_CONFIG), tikvConfig);
  }
  writeFileSync(path.join(metricsFolder, RULES_FILE), alertRules(layout.timeFactor));
  const record: InstanceRecord = {
    version: 1,
    id,
    kind: "process",
    subject: "tikv",
    project,
    network,
    createdAt: isoTime(deps.clock.now()),
    detached: false,
    timeFactor: options.timeFactor,
    sockets: null,
    components: embeddedComponents.map(({ component, role }) => ({ component, role })),
    subjectData: { ports: layout.ports, guardPort, data: wasEmpty ? "empty" : "from before" },
  };
  // Before anything runs, so that a sweep knows whose folder it is.
  writeInstance(stateDir, record);
  const started = await startSupervisor(
    { instance: id, project, network, stateDir, guardPort, nodes, compileCache: compileCacheFor(stateDir) },
    signal,
  );
  const complete = { ...record, sockets: started.sockets };
  try {
    writeInstance(stateDir, complete);
  } catch (error) {
    await started.engine.tearDown();
    throw error;
  }
  return new EmbeddedInstance({ layout, record: complete, engine: started.engine, deps });
}
