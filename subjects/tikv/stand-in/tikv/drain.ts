import type { Clock } from "../../../../harness/base/clock.ts";
import type { NodeLog } from "../node-log.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { Store } from "./store.ts";
import { transferLeader } from "./transfer-leader.ts";

interface DrainOptions {
  readonly boundMs: number;
  readonly clock: Clock;
  readonly log: NodeLog;
  reaches(storeId: number): boolean;
}

const RETRY_MS = 100;

/**
 * Hands every leadership to another store, as TiKV 8.5.5 does on SIGTERM. Gives up after `boundMs`, or as soon as there
 * is nobody left to take one.
 */
export async function drainLeaders(store: Store, options: DrainOptions): Promise<void> {
  const { clock, log, boundMs } = options;
  const deadline = clock.monotonic() + boundMs;
  for (let before = -1; ;) {
    const led = [...store.peers].filter((peer) => peer.isLeader && (peer.region?.peers.length ?? 0) > 1);
    if (led.length !== before) log.info("server.rs:1500", "leaders remaining", { count: led.length });
    before = led.length;
    const tried = led.filter((peer) => handOver(peer, store, options));
    if (tried.length === 0 || clock.monotonic() >= deadline) return;
    await clock.sleep(RETRY_MS);
  }
}

/** @returns false when nobody can take it. */
function handOver(peer: RegionPeer, store: Store, { reaches }: DrainOptions): boolean {
  const active = new Set(peer.node.members().flatMap(({ id, active: heard }) => (heard ? [id] : [])));
  const candidates = (peer.region?.peers ?? []).filter(
    ({ id, storeId }) => id !== peer.peerId && active.has(id) && reaches(storeId),
  );
  if (candidates.length === 0) return false;
  if (peer.node.transferee !== 0) return true;
  const refused = transferLeader(
    peer,
    candidates.map(({ id }) => id),
  );
  store.wake(peer.id);
  return refused === null || refused === "pending conf change" || refused === "pending snapshot";
}
