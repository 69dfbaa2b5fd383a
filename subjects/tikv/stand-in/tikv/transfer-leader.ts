import type { RegionPeer } from "./region-peer.ts";

/**
 * Hands leadership to one of `candidates`, to whoever has most of the log
 * (tikv/tikv:components/raftstore/src/store/peer.rs, `pre_transfer_leader` and `ready_to_transfer_leader`).
 * @returns why it is not even tried, or null.
 */
export function transferLeader(peer: RegionPeer, candidates: readonly number[]): string | null {
  const { node, region } = peer;
  if (node.confChangePending) return "pending conf change";
  const voters = new Set(
    region?.peers.flatMap(({ id, role }) => (role === "voter" || role === "incoming-voter" ? [id] : [])) ?? [],
  );
  const fit = candidates.filter((id) => id !== peer.peerId && voters.has(id));
  if (fit.length === 0) return candidates.includes(peer.peerId) ? "already leader" : "non voter";
  const matches = new Map(node.members().flatMap(({ id, match, behindLog }) => (behindLog ? [] : [[id, match]])));
  const [best] = fit.filter((id) => matches.has(id)).sort((a, b) => (matches.get(b) ?? 0) - (matches.get(a) ?? 0));
  if (best === undefined) return "pending snapshot";
  return node.transferLeader(best) ? null : "log gap";
}
