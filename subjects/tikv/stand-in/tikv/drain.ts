import type { Clock } from "../../../../harness/base/clock.ts";
import type { NodeLog } from "../node-log.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { Store } from "./store.ts";

const RETRY_MS = 100;

/** Hands every leadership to another store, as TiKV 8.5.5 does on SIGTERM; gives up after `boundMs`. */
export async function drainLeaders(
  store: Store,
  { boundMs, clock, log }: { readonly boundMs: number; readonly clock: Clock; readonly log: NodeLog },
): Promise<void> {
  const deadline = clock.monotonic() + boundMs;
  for (;;) {
    const led = [...store.peers].filter((peer) => peer.isLeader && (peer.region?.peers.length ?? 0) > 1);
    log.info("server.rs:1500", "leaders remaining", { count: led.length });
    if (led.length === 0 || clock.monotonic() >= deadline) return;
    for (const peer of led) handOver(peer, store);
    await clock.sleep(RETRY_MS);
  }
}

function handOver(peer: RegionPeer, store: Store): void {
  if (peer.node.transferee !== 0) return;
  const { voters } = peer.node.conf;
  const [best] = peer.node
    .members()
    .filter(({ id, active, behindLog }) => id !== peer.peerId && active && !behindLog && voters.includes(id))
    .sort((a, b) => b.match - a.match);
  if (best !== undefined && peer.node.transferLeader(best.id)) store.wake(peer.id);
}
