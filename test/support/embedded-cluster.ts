import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { claimInstance } from "../../harness/engine/instances.ts";
import type { Deps, InstanceId } from "../../harness/protocol.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";

export interface TestCluster extends AsyncDisposable {
  readonly instance: EmbeddedInstance;
  readonly deps: Deps;
  /** The instance's own, and one for whatever a test needs; both go with the cluster. */
  readonly stateDir: string;
  readonly folder: string;
  /** Client URL by PD member. */
  readonly pd: Readonly<Record<string, string>>;
  /** `host:port` of the members, as clients take them. */
  readonly pdEndpoints: readonly string[];
}

/** A whole embedded cluster of processes, ready; its folder goes with it. */
export async function startEmbedded(
  options: { readonly timeFactor: number },
  signal: AbortSignal,
): Promise<TestCluster> {
  await using scope = new AsyncDisposableStack();
  const root = await mkdtemp(path.join(os.tmpdir(), "embedded-"));
  scope.defer(() => rm(root, { recursive: true, force: true }));
  const id = "c1" as InstanceId;
  const owned = claimInstance(root, id, { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
  scope.defer(() => owned[Symbol.dispose]());
  const deps: Deps = { clock: systemClock, random: seededRandom(root), ids: randomIds, log: silentLog, fetch };
  const stateDir = owned.paths.dir;
  const names = { project: `tikv-${id}`, network: `tikv-${id}` };
  const instance = await deployEmbedded(
    { engine: "process", id, stateDir, ...names, timeFactor: options.timeFactor },
    deps,
    signal,
  );
  scope.use(instance);
  await instance.waitReady({ timeoutMs: 120_000 }, signal);
  const { byComponent } = instance.endpoints("host");
  const pd = Object.fromEntries(["pd0", "pd1", "pd2"].map((name) => [name, byComponent[name]?.["client"] ?? ""]));
  const open = scope.move();
  const pdEndpoints = Object.values(pd).map((url) => new URL(url).host);
  const dispose = () => open.disposeAsync();
  return { instance, deps, stateDir, folder: root, pd, pdEndpoints, [Symbol.asyncDispose]: dispose };
}
