import type { RegionError } from "./wire.ts";

const KINDS = [
  "not_leader",
  "region_not_found",
  "key_not_in_region",
  "epoch_not_match",
  "server_is_busy",
  "stale_command",
  "store_not_match",
  "raft_entry_too_large",
  "read_index_not_ready",
  "disk_full",
  "mismatch_peer_id",
] as const satisfies readonly (keyof RegionError)[];

/** `other` = an error that this client does not know; only its text is there. */
export type RegionErrorKind = (typeof KINDS)[number] | "other";

/**
 * Raised before a write is proposed to Raft: such an attempt certainly did nothing (`tikv-facts.md` §9). Note what is
 * not here: region_not_found is also sent for proposed writes when a peer is destroyed.
 */
const BEFORE_PROPOSAL: ReadonlySet<RegionErrorKind> = new Set([
  "not_leader",
  "key_not_in_region",
  "store_not_match",
  "disk_full",
  "raft_entry_too_large",
  "epoch_not_match",
]);

export function kindOf(error: RegionError): RegionErrorKind {
  return KINDS.find((kind) => error[kind] !== null && error[kind] !== undefined) ?? "other";
}

export function isBeforeProposal(kind: RegionErrorKind): boolean {
  return BEFORE_PROPOSAL.has(kind);
}
