import type { NodeLog } from "../node-log.ts";
import type { DataDir, StoreIdentity } from "./data-dir.ts";
import type { StoreMessage } from "./pd-messages.ts";
import { PdRefused, type PdSession } from "./pd-session.ts";
import { toRegionMessage, type Region } from "./region.ts";
import type { Store } from "./store.ts";

/** pdpb.ErrorType */
const ALREADY_BOOTSTRAPPED = 4;

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
  },
  signal: AbortSignal,
): Promise<void> {
  const { dataDir, identity, store, session, log } = options;
  const { bootstrapped } = await session.call("IsBootstrapped", {}, signal);
  const prepared = identity.preparedRegion === null ? null : (store.peer(identity.preparedRegion)?.region ?? null);
  if (bootstrapped && identity.preparedRegion === null) return;
  const region = prepared ?? (await prepare(options, signal));
  try {
    await session.call("Bootstrap", { store: options.self, region: toRegionMessage(region) }, signal);
    log.info("node.rs:500", "bootstrap cluster ok", { cluster_id: session.clusterId });
  } catch (error) {
    if (!(error instanceof PdRefused) || error.type !== ALREADY_BOOTSTRAPPED) throw error;
    // Perhaps by ourselves, before a crash: the first region says who was first.
    const first = await session.call("GetRegionByID", { region_id: String(region.id) }, signal);
    if (Number(first.region?.id ?? 0) !== region.id) await store.forget(region.id);
    log.info("node.rs:510", "cluster is already bootstrapped", { cluster_id: session.clusterId });
  }
  dataDir.writeIdentity({ ...identity, preparedRegion: null });
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
