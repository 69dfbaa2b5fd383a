import { isoTime } from "../harness/base/clock.ts";
import { claimInstance } from "../harness/engine/instances.ts";
import type { Deps, InstanceId } from "../harness/protocol.ts";
import { deployEmbedded } from "../subjects/tikv/adapter-process.ts";

export type BenchCluster = Awaited<ReturnType<typeof deployEmbedded>>;

/**
 * An embedded cluster of its own below `root`, torn down after `work`. A second one below the same root finds its
 * programs compiled, as all but an installation's first do.
 */
export async function inCluster<T>(
  root: string,
  id: string,
  deps: Deps & { readonly timeFactor?: number },
  work: (cluster: BenchCluster, stateDir: string) => Promise<T>,
): Promise<T> {
  const holder = { pid: process.pid, what: "the bench", since: isoTime(deps.clock.now()) };
  using owned = claimInstance(root, id, holder);
  const options = {
    engine: "process" as const,
    id: owned.id as InstanceId,
    stateDir: owned.paths.dir,
    project: `tikv-${id}`,
    network: `tikv-${id}`,
    timeFactor: deps.timeFactor ?? 1,
  };
  await using cluster = await deployEmbedded(options, deps, new AbortController().signal);
  return await work(cluster, owned.paths.dir);
}

/** Where its PD members answer clients. */
export function pdUrls(cluster: BenchCluster): string[] {
  const { byComponent } = cluster.endpoints("host");
  return ["pd0", "pd1", "pd2"].map((name) => byComponent[name]?.["client"] ?? "");
}
