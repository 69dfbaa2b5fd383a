import { SubjectError, errorText } from "../../harness/base/errors.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { Clock, Component } from "../../harness/protocol.ts";
import type { PdClient, PdRegion, PdStore } from "./kit/clients/pd.ts";

/** What both engines' clusters are asked through. */
export interface ReadinessSources {
  readonly pd: PdClient;
  /** Names a store by its advertised address. */
  readonly componentOf: (advertised: string) => Component;
  readonly clock: Clock;
}

const STORES = 3;
const REPLICAS = 3;
const ASK_EVERY_MS = 100;

export interface SteadyOptions {
  readonly timeoutMs: number;
  /** Wait until every store leads a region, too: then who leads something does not depend on the moment. */
  readonly everyStoreLeads?: boolean;
}

/**
 * Resolves when the cluster is in its steady state: one PD leader and every other member well, three stores Up, every
 * region with a leader and three replicas of which none is pending or down.
 *
 * @throws SubjectError naming what was missing last; the signal's reason.
 */
export async function waitSteady(
  sources: ReadinessSources,
  { timeoutMs, everyStoreLeads = false }: SteadyOptions,
  signal: AbortSignal,
): Promise<void> {
  let missing = "nothing was asked yet";
  try {
    await waitFor(
      async (inner) => {
        missing = await whatIsMissing(sources.pd, everyStoreLeads, inner).catch((error: unknown) => {
          inner.throwIfAborted();
          return errorText(error);
        });
        return missing === "";
      },
      { clock: sources.clock, timeoutMs, everyMs: ASK_EVERY_MS, what: "the cluster to be ready", signal },
    );
  } catch (cause) {
    signal.throwIfAborted();
    throw new SubjectError(`the cluster is not ready after ${Math.round(timeoutMs / 1000)} s: ${missing}`, { cause });
  }
}

/** Empty = nothing. */
async function whatIsMissing(pd: PdClient, everyStoreLeads: boolean, signal: AbortSignal): Promise<string> {
  if ((await pd.leader(signal))?.byMajority !== true) return "no PD leader that a majority agrees on";
  // A quorum would answer all that follows; the fault would then hit a cluster that had nothing to spare.
  const well = (await pd.health(signal)).filter(({ healthy }) => healthy);
  if (well.length < pd.members.length) return `${well.length} of ${pd.members.length} PD members are healthy`;
  const up = (await pd.stores(signal)).filter(isUp);
  if (up.length < STORES) return `${up.length} of ${STORES} stores are Up`;
  const { count, regions } = await pd.regions(signal);
  if (count === 0 || regions.length < count) return `${regions.length} of ${count} regions are known`;
  const poor = regions.filter(
    (region) =>
      region.leader === null ||
      region.peers.length !== REPLICAS ||
      region.pendingPeers.length > 0 ||
      region.downPeers.length > 0,
  );
  if (poor.length > 0) return `${poor.length} of ${count} regions lack a leader or a replica`;
  const leading = storesThatLead(regions);
  return everyStoreLeads && leading.size < STORES ? `${leading.size} of ${STORES} stores lead a region` : "";
}

/**
 * Components that satisfy a scenario's predicate now, in order of name, so that a seeded choice is reproducible:
 * `leads-region`, `pd-leader`, `pd-follower`, `any-store`.
 *
 * @throws SubjectError for an unknown predicate, and when PD cannot be asked.
 */
export async function candidatesFor(
  predicate: string,
  { pd, componentOf }: ReadinessSources,
  signal: AbortSignal,
): Promise<readonly Component[]> {
  const named = (stores: readonly PdStore[]) => stores.map((store) => componentOf(store.address)).sort();
  switch (predicate) {
    case "any-store":
      return named((await pd.stores(signal)).filter(isUp));
    case "leads-region": {
      const { regions } = await pd.regions(signal);
      const leading = storesThatLead(regions);
      return named((await pd.stores(signal)).filter((store) => isUp(store) && leading.has(store.id)));
    }
    case "pd-leader":
    case "pd-follower": {
      const leader = await pd.leader(signal);
      if (leader === null) return [];
      return predicate === "pd-leader" ? [leader.name] : pd.members.filter((member) => member !== leader.name).sort();
    }
    default:
      throw new SubjectError(
        `TiKV has no predicate "${predicate}"; it has leads-region, pd-leader, pd-follower, any-store`,
      );
  }
}

function storesThatLead(regions: readonly PdRegion[]): ReadonlySet<string> {
  return new Set(regions.flatMap((region) => (region.leader === null ? [] : [region.leader.storeId])));
}

const isUp = (store: PdStore): boolean => store.stateName === "Up";

/** Regions that each store leads, in PD's view. @throws when PD cannot be asked. */
export async function leadersByStore(
  { pd, componentOf }: ReadinessSources,
  signal: AbortSignal,
): Promise<ReadonlyMap<Component, number>> {
  return new Map((await pd.stores(signal)).map((store) => [componentOf(store.address), store.leaderCount]));
}
