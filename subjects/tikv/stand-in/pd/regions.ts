/** metapb.Peer. Role: Voter 0, Learner 1, IncomingVoter 2, DemotingVoter 3. */
export interface Peer {
  readonly id: number;
  readonly storeId: number;
  readonly role: number;
}

/** A region as its leader last reported it. Keys are lower-case hex: they sort as the bytes do. */
export interface Region {
  readonly id: number;
  readonly startKey: string;
  readonly endKey: string;
  readonly confVer: number;
  readonly version: number;
  readonly peers: readonly Peer[];
  readonly leader: Peer | null;
  readonly term: number;
  readonly downPeers: readonly { readonly peer: Peer; readonly downSeconds: number }[];
  readonly pendingPeers: readonly Peer[];
  readonly writtenBytes: number;
  readonly readBytes: number;
  readonly writtenKeys: number;
  readonly readKeys: number;
  readonly writtenQueries: number;
  readonly readQueries: number;
  readonly cpuUsage: number;
  /** MiB. */
  readonly approximateSize: number;
  readonly approximateKeys: number;
  /** MiB; 0 = not told. */
  readonly approximateKvSize: number;
}

/** What is known of a region that no leader has reported: no leader, no figures, older than any report. */
export const heardFromNobody = {
  leader: null,
  term: 0,
  downPeers: [],
  pendingPeers: [],
  writtenBytes: 0,
  readBytes: 0,
  writtenKeys: 0,
  readKeys: 0,
  writtenQueries: 0,
  readQueries: 0,
  cpuUsage: 0,
  approximateSize: 0,
  approximateKeys: 0,
  approximateKvSize: 0,
} as const;

/** All regions that are known, without overlap. */
export class Regions {
  readonly #byId = new Map<number, Region>();
  #ordered: Region[] | null = null;
  readonly #onShape: () => void;

  /** `onShape`: a range, an epoch or the peers of a region changed, or a region came or went. */
  constructor(onShape: () => void) {
    this.#onShape = onShape;
  }

  get count(): number {
    return this.#byId.size;
  }
  get(id: number): Region | undefined {
    return this.#byId.get(id);
  }

  /** By start key. */
  all(): readonly Region[] {
    this.#ordered ??= [...this.#byId.values()].sort((a, b) => (a.startKey < b.startKey ? -1 : 1));
    return this.#ordered;
  }

  /** @returns false when what is known is newer; then nothing changes. */
  put(region: Region): boolean {
    const known = this.#byId.get(region.id);
    if (known !== undefined && isOlder(region, known)) return false;
    const overlapping = this.all().filter((other) => other.id !== region.id && overlaps(other, region));
    if (overlapping.some((other) => other.version > region.version)) return false;
    for (const other of overlapping) this.#byId.delete(other.id);
    this.#byId.set(region.id, region);
    this.#ordered = null;
    if (known?.version !== region.version || known.confVer !== region.confVer) this.#onShape();
    return true;
  }

  clear(): void {
    this.#byId.clear();
    this.#ordered = null;
    this.#onShape();
  }

  at(keyHex: string): Region | undefined {
    const regions = this.all();
    let [low, high] = [0, regions.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((regions[middle] as Region).startKey <= keyHex) low = middle + 1;
      else high = middle;
    }
    const region = regions[low - 1];
    return region !== undefined && (region.endKey === "" || keyHex < region.endKey) ? region : undefined;
  }

  /** From the region that holds `startHex` on; `endHex` "" and limit 0 = no bound. */
  scan(startHex: string, endHex: string, limit: number): readonly Region[] {
    const hit = this.all().filter(
      ({ startKey, endKey }) => (endKey === "" || endKey > startHex) && (endHex === "" || startKey < endHex),
    );
    return limit > 0 ? hit.slice(0, limit) : hit;
  }
}

function overlaps(a: Region, b: Region): boolean {
  return (a.endKey === "" || b.startKey < a.endKey) && (b.endKey === "" || a.startKey < b.endKey);
}

function isOlder(a: Region, b: Region): boolean {
  return a.version < b.version || a.confVer < b.confVer || (a.term > 0 && a.term < b.term);
}

/** What a region's leader reports on the wire and PD answers with, for the fields that both sides know. */
export interface WirePeer {
  id: string;
  store_id: string;
  role: number;
}
export interface WireRegion {
  id: string;
  start_key: Buffer;
  end_key: Buffer;
  region_epoch: { conf_ver: string; version: string } | null;
  peers: WirePeer[];
}

export function peerFromWire(peer: WirePeer): Peer {
  return { id: Number(peer.id), storeId: Number(peer.store_id), role: peer.role };
}
export function peerToWire(peer: Peer): WirePeer {
  return { id: String(peer.id), store_id: String(peer.storeId), role: peer.role };
}
export function regionToWire(region: Region): WireRegion {
  return {
    id: String(region.id),
    start_key: Buffer.from(region.startKey, "hex"),
    end_key: Buffer.from(region.endKey, "hex"),
    region_epoch: { conf_ver: String(region.confVer), version: String(region.version) },
    peers: region.peers.map(peerToWire),
  };
}
export function regionFromWire(region: WireRegion, leader: WirePeer | null): Region {
  return {
    id: Number(region.id),
    startKey: region.start_key.toString("hex"),
    endKey: region.end_key.toString("hex"),
    confVer: Number(region.region_epoch?.conf_ver ?? 0),
    version: Number(region.region_epoch?.version ?? 0),
    peers: region.peers.map(peerFromWire),
    ...heardFromNobody,
    leader: leader === null || leader.id === "0" ? null : peerFromWire(leader),
  };
}
