import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import type { DataDir, StoreIdentity } from "./data-dir.ts";
import type { StoreMessage } from "./pd-messages.ts";
import { PdRefused, type PdSession } from "./pd-session.ts";
import { toRegionMessage, type Region } from "./region.ts";
import type { Store } from "./store.ts";

/** pdpb.ErrorType */
const ALREADY_BOOTSTRAPPED = 4;
/** tikv/tikv:components/server/src/node.rs (bootstrap_cluster): again after 3 s, 60 times. */
const RETRY_MS = 3_000;
const MAX_ATTEMPTS = 60;

/** This store's identity, from its folder or, the first time, from PD. @throws as `PdSession.call`. */
export async function identify(dataDir: DataDir, session: PdSession, signal: AbortSignal): Promise<StoreIdentity> {
  const known = dataDir.readIdentity();
  if (known !== null) return known;
  const { id } = await session.call("AllocID", {}, signal);
  const identity = { clusterId: session.clusterId, storeId: Number(id), preparedRegion: null };
  dataDir.writeIdentity(identity);
  return identity;
}

/** The first store of a cluster makes the first region; of several that try, PD chooses one. */
export async function bootstrapCluster(
  options: {
    readonly dataDir: DataDir;
    readonly identity: StoreIdentity;
    readonly store: Store;
    readonly self: StoreMessage;
    readonly session: PdSession;
    readonly log: NodeLog;
    readonly clock: Clock;
    readonly timeFactor: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { dataDir, identity, store, session } = options;
  const { bootstrapped } = await session.call("IsBootstrapped", {}, signal);
  const prepared = identity.preparedRegion === null ? null : (store.peer(identity.preparedRegion)?.region ?? null);
  if (bootstrapped && identity.preparedRegion === null) return;
  const region = prepared ?? (await prepare(options, signal));
  const request = { store: options.self, region: toRegionMessage(region) };
  for (let attempt = 1; !(await bootstrapOnce(options, region.id, request, attempt, signal)); attempt++)
    await options.clock.sleep(RETRY_MS * options.timeFactor, signal);
  dataDir.writeIdentity({ ...identity, preparedRegion: null });
}

/**
 * @returns whether the cluster is bootstrapped, by us or by another. Not after any other answer, which a real PD gives to
 *   those that lost by a moment ("etcd transaction failed").
 */
async function bootstrapOnce(
  { store, session, log }: Parameters<typeof bootstrapCluster>[0],
  regionId: number,
  request: { readonly store: StoreMessage; readonly region: ReturnType<typeof toRegionMessage> },
  attempt: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await session.call("Bootstrap", request, signal);
    log.info("node.rs:500", "bootstrap cluster ok", { cluster_id: session.clusterId });
    return true;
  } catch (error) {
    if (!(error instanceof PdRefused) || error.type !== ALREADY_BOOTSTRAPPED) {
      signal.throwIfAborted();
      if (attempt >= MAX_ATTEMPTS) throw error;
      log.error("node.rs:528", "bootstrap cluster", { cluster_id: session.clusterId, err: errorText(error) });
      return false;
    }
    // Perhaps by ourselves, before a crash: the first region says who was first.
    const first = await session.call("GetRegionByID", { region_id: String(regionId) }, signal);
    if (Number(first.region?.id ?? 0) !== regionId) await store.forget(regionId);
    log.info("node.rs:510", "cluster is already bootstrapped", { cluster_id: session.clusterId });
    return true;
  }
}

async function prepare(
  { dataDir, identity, store, session, log }: Parameters<typeof bootstrapCluster>[0],
  signal: AbortSignal,
): Promise<Region> {
  const regionId = Number((await session.call("AllocID", {}, signal)).id);
  const peerId = Number((await session.call("AllocID", {}, signal)).id);
  log.info("node.rs:420", "alloc first region id", { region_id: regionId, cluster_id: session.clusterId });
  const region: Region = {
    id: regionId,
    startKey: "",
    endKey: "",
    epoch: { confVer: 1, version: 1 },
    peers: [{ id: peerId, storeId: identity.storeId, role: "voter" }],
  };
  dataDir.writeIdentity({ ...identity, preparedRegion: regionId });
  await store.createFirst(region);
  return region;
}
