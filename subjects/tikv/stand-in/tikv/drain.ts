import type { Clock } from "../../../../harness/base/clock.ts";
import type { NodeLog } from "../node-log.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { Store } from "./store.ts";

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
  const { voters } = peer.node.conf;
  const [best] = peer.node
    .members()
    .filter(({ id, active, behindLog }) => {
      const storeId = peer.peer(id)?.storeId;
      return (
        id !== peer.peerId && active && !behindLog && voters.includes(id) && storeId !== undefined && reaches(storeId)
      );
    })
    .sort((a, b) => b.match - a.match);
  if (best === undefined) return false;
  if (peer.node.transferee === 0 && peer.node.transferLeader(best.id)) store.wake(peer.id);
  return true;
}
