/** Shapes of the messages that the client reads, as `proto/load.ts` delivers them: uint64 as decimal strings. */

export interface Peer {
  readonly id: string;
  readonly store_id: string;
}

export interface RegionEpoch {
  readonly conf_ver: string;
  readonly version: string;
}

export interface RegionMeta {
  readonly id: string;
  readonly start_key: Buffer;
  /** Empty = to the end of the key space. */
  readonly end_key: Buffer;
  readonly region_epoch: RegionEpoch | null;
  readonly peers: readonly Peer[];
}

export interface ResponseHeader {
  readonly cluster_id: string;
  readonly error: { readonly type: number; readonly message: string } | null;
}

export interface Member {
  readonly name: string;
  readonly client_urls: readonly string[];
}

export interface GetMembersResponse {
  readonly header: ResponseHeader | null;
  readonly members: readonly Member[];
  readonly leader: Member | null;
}

export interface GetRegionResponse {
  readonly header: ResponseHeader | null;
  readonly region: RegionMeta | null;
  readonly leader: Peer | null;
}

export interface GetStoreResponse {
  readonly header: ResponseHeader | null;
  readonly store: { readonly id: string; readonly address: string } | null;
}

/** `errorpb.Error`: the member that is set says what happened; none = only the text is known. */
export interface RegionError {
  readonly message: string;
  readonly not_leader: { readonly leader: Peer | null } | null;
  readonly region_not_found: object | null;
  readonly key_not_in_region: object | null;
  readonly epoch_not_match: { readonly current_regions: readonly RegionMeta[] } | null;
  readonly server_is_busy: { readonly backoff_ms: string } | null;
  readonly stale_command: object | null;
  readonly store_not_match: object | null;
  readonly raft_entry_too_large: object | null;
  readonly read_index_not_ready: object | null;
  readonly disk_full: object | null;
  readonly mismatch_peer_id: object | null;
}

/** What RawGet, RawPut and RawDelete answer, together. */
export interface RawResponse {
  readonly region_error: RegionError | null;
  readonly error: string;
  readonly value?: Buffer;
  readonly not_found?: boolean;
}
