import { stepMessage } from "../schedule/step-message.ts";
import type { SendStep } from "../schedule/coordinator.ts";
import { peerFromWire, regionFromWire, type Region, type WirePeer, type WireRegion } from "../regions.ts";
import { readQueries, writeQueries, type WireQueryStats } from "../wire-stores.ts";
import { asServiceError, type Calls, type GrpcParts, type Request, type Stream } from "./calls.ts";

export interface HeartbeatRequest extends Request {
  readonly region: WireRegion | null;
  readonly leader: WirePeer | null;
  readonly down_peers: readonly { readonly peer: WirePeer; readonly down_seconds: string }[];
  readonly pending_peers: readonly WirePeer[];
  readonly bytes_written: string;
  readonly bytes_read: string;
  readonly keys_written: string;
  readonly keys_read: string;
  readonly approximate_size: string;
  readonly approximate_keys: string;
  readonly approximate_kv_size: string;
  readonly cpu_usage: string;
  readonly query_stats: WireQueryStats | null;
  readonly interval: { readonly start_timestamp: string; readonly end_timestamp: string } | null;
  readonly term: string;
}

/** A store's stream: it reports the regions that it leads, and is told what is wanted of them. */
export function regionHeartbeats(calls: Calls, parts: GrpcParts) {
  const { cluster, coordinator, observed, clock } = parts;
  return (call: Stream<HeartbeatRequest, unknown>): void => {
    let isNew = true;
    const send: SendStep = (region, step) => {
      const message = stepMessage(region, step);
      if (message !== null) call.write({ header: calls.header(), ...message });
    };
    const labelsOf = ({ store_id }: WirePeer) => {
      const address = cluster.state.stores.find(({ id }) => id === Number(store_id))?.address ?? "";
      return { address, store: store_id };
    };
    call.on("data", (request: HeartbeatRequest) => {
      const refused = calls.refusal(request.header);
      if (refused !== null) return void call.destroy(asServiceError(refused));
      if (request.region === null || request.leader === null) return;
      const began = clock.monotonic();
      const labels = labelsOf(request.leader);
      observed.regionHeard({ ...labels, status: "recv" });
      if (isNew) observed.regionHeard({ ...labels, status: "bind" });
      isNew = false;
      coordinator.onRegionHeartbeat(heardRegion(request, request.region), intervalMs(request), send);
      observed.regionHeard({ ...labels, status: "ok" });
      observed.regionHeartbeat.observe(labels, (clock.monotonic() - began) / 1_000);
    });
    const done = () => coordinator.onStreamEnd(send);
    call.on("end", () => {
      done();
      call.end();
    });
    call.on("error", done);
    call.on("cancelled", done);
  };
}

function heardRegion(request: HeartbeatRequest, region: WireRegion): Region {
  return {
    ...regionFromWire(region, request.leader),
    term: Number(request.term),
    downPeers: request.down_peers.map(({ peer, down_seconds }) => ({
      peer: peerFromWire(peer),
      downSeconds: Number(down_seconds),
    })),
    pendingPeers: request.pending_peers.map(peerFromWire),
    writtenBytes: Number(request.bytes_written),
    readBytes: Number(request.bytes_read),
    writtenKeys: Number(request.keys_written),
    readKeys: Number(request.keys_read),
    approximateSize: inMib(Number(request.approximate_size)),
    approximateKeys: Number(request.approximate_keys),
    approximateKvSize: inMib(Number(request.approximate_kv_size)),
    cpuUsage: Number(request.cpu_usage),
    writtenQueries: writeQueries(request.query_stats),
    readQueries: readQueries(request.query_stats),
  };
}

/** What the flows of a heartbeat cover; 0 when the store does not say. */
function intervalMs({ interval }: HeartbeatRequest): number {
  return interval === null ? 0 : (Number(interval.end_timestamp) - Number(interval.start_timestamp)) * 1_000;
}

/** Stores report bytes; PD counts whole MiB, and little as one (tikv/pd:pkg/core/region.go). */
function inMib(bytes: number): number {
  return bytes > 0 ? Math.max(1, Math.floor(bytes / 2 ** 20)) : 0;
}
