import { checkStoreVersion, lowestVersion } from "../cluster-version.ts";
import { peerFromWire, regionFromWire, type WireRegion } from "../regions.ts";
import type { WireStoreReport } from "../unsafe/report.ts";
import { statsFromWire, storeFromWire, type WireStats, type WireStore } from "../wire-stores.ts";
import { ERROR, HeaderError, type Calls, type GrpcParts, type Methods } from "./calls.ts";

/** What stores ask for and report, but for their regions' heartbeats. */
export function storeCalls(calls: Calls, parts: GrpcParts): Methods {
  const { cluster } = parts;
  return {
    IsBootstrapped: calls.always(() => ({ bootstrapped: cluster.bootstrapped })),
    Bootstrap: calls.always(async (request: { store: WireStore; region: WireRegion }) => {
      if (cluster.bootstrapped) throw new HeaderError(ERROR.ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped");
      await bootstrap(parts, request.store, request.region);
      return {};
    }),
    AllocID: calls.always(async () => ({ id: String(await cluster.ids.next()), count: 1 })),
    PutStore: calls.leader(async (request: { store: WireStore }) => {
      await putStore(parts, request.store);
      return {};
    }),
    StoreHeartbeat: calls.leader((request: { stats: WireStats; store_report: WireStoreReport | null }) =>
      heartbeat(parts, request),
    ),
    AskSplit: calls.leader(async (request: { region: WireRegion | null }) => {
      const [ids] = await splitIds(parts, request.region, 1);
      return { new_region_id: ids?.new_region_id, new_peer_ids: ids?.new_peer_ids };
    }),
    AskBatchSplit: calls.leader(async (request: { region: WireRegion | null; split_count: number }) => ({
      ids: await splitIds(parts, request.region, request.split_count),
    })),
    ReportSplit: calls.leader(() => ({})),
    ReportBatchSplit: calls.leader(() => ({})),
    ReportMinResolvedTS: calls.leader(() => ({})),
    IsSnapshotRecovering: calls.open(() => ({ marked: false })),
  };
}

async function bootstrap(parts: GrpcParts, store: WireStore, region: WireRegion): Promise<void> {
  const { cluster, log } = parts;
  const atMs = cluster.now();
  demandVersion(parts, store);
  await cluster.decide({ kind: "bootstrap", store: storeFromWire(store, null, atMs), atMs });
  const won = cluster.state.stores[0]?.id === Number(store.id);
  if (!won) throw new HeaderError(ERROR.ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped");
  await noteVersions(parts);
  cluster.regions.put({ ...regionFromWire(region, null), leader: region.peers.map(peerFromWire)[0] ?? null });
  log.info("server.go:801", "bootstrap cluster ok", { "cluster-id": cluster.state.clusterId });
}

async function putStore(parts: GrpcParts, wire: WireStore): Promise<void> {
  const { cluster, log } = parts;
  const known = cluster.state.stores.find(({ id }) => id === Number(wire.id)) ?? null;
  if (known?.state === 2) throw tombstone();
  const twin = cluster.state.stores.find(
    ({ id, address, state, physicallyDestroyed }) =>
      id !== Number(wire.id) && address === wire.address && state !== 2 && !physicallyDestroyed,
  );
  if (twin !== undefined)
    throw new HeaderError(
      ERROR.UNKNOWN,
      `duplicated store address: id:${wire.id} address:"${wire.address}", already registered by id:${twin.id} address:"${twin.address}"`,
    );
  demandVersion(parts, wire);
  await cluster.decide({ kind: "put-store", store: storeFromWire(wire, known, cluster.now()) });
  await noteVersions(parts);
  log.info("cluster.go:1337", "put store ok", { "store-id": wire.id, "store-address": wire.address });
  cluster.changed();
}

async function heartbeat(
  { cluster, observed, clock }: GrpcParts,
  { stats, store_report }: { readonly stats: WireStats; readonly store_report: WireStoreReport | null },
) {
  const storeId = Number(stats.store_id);
  const known = cluster.state.stores.find(({ id }) => id === storeId);
  if (known === undefined) throw new HeaderError(ERROR.UNKNOWN, `store ${storeId} not found`);
  if (known.state === 2) throw tombstone();
  const began = clock.monotonic();
  const meta = await cluster.heardStore(storeId, statsFromWire(stats));
  const plan = await cluster.recovery.onHeartbeat(storeId, store_report);
  const labels = { address: meta.address, store: String(storeId) };
  observed.storeHeartbeat.observe(labels, (clock.monotonic() - began) / 1_000);
  return {
    state: meta.nodeState,
    cluster_version: cluster.state.clusterVersion,
    ...(plan === null ? {} : { recovery_plan: plan }),
  };
}

async function splitIds({ cluster, coordinator }: GrpcParts, region: WireRegion | null, count: number) {
  if (region === null) throw new HeaderError(ERROR.REGION_NOT_FOUND, "missing region for split");
  if (cluster.recovery.isRunning)
    throw new HeaderError(ERROR.UNKNOWN, "[PD:unsaferecovery:ErrUnsafeRecoveryIsRunning]unsafe recovery is running");
  if (cluster.schedule["enable-tikv-split-region"] === "false")
    throw new HeaderError(ERROR.UNKNOWN, "[PD:scheduler:ErrSchedulerTiKVSplitDisabled]tikv split region disabled");
  const ids = [];
  for (let part = 0; part < count; part++) {
    const newRegionId = String(await cluster.ids.next());
    const peers = [];
    for (const _ of region.peers) peers.push(String(await cluster.ids.next()));
    ids.push({ new_region_id: newRegionId, new_peer_ids: peers });
  }
  coordinator.onSplit([Number(region.id), ...ids.map(({ new_region_id: id }) => Number(id))]);
  return ids;
}

/** @throws HeaderError */
function demandVersion({ cluster }: GrpcParts, { id, version }: WireStore): void {
  const why = checkStoreVersion(cluster.state.clusterVersion, id, version);
  if (why !== null) throw new HeaderError(ERROR.UNKNOWN, why);
}

/** The cluster's version is that of its oldest store; it never falls. */
async function noteVersions({ cluster }: GrpcParts): Promise<void> {
  const version = lowestVersion(cluster.state);
  if (version !== cluster.state.clusterVersion) await cluster.decide({ kind: "cluster-version", version });
}

const tombstone = (): HeaderError => new HeaderError(ERROR.STORE_TOMBSTONE, "store is tombstone");
