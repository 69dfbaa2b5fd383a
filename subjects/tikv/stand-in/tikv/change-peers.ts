import { ByteReader, ByteWriter, type ConfChange } from "../../../common/raft/index.ts";
import { isJoint, readPeer, writePeer, type Peer, type PeerRole, type Region, type RegionEpoch } from "./region.ts";

/** In the order of `eraftpb.ConfChangeType`. */
export const CHANGE_TYPES = ["add-voter", "remove", "add-learner"] as const;

export interface PeerChange {
  readonly type: (typeof CHANGE_TYPES)[number];
  readonly peer: Peer;
}

/** None = leave joint consensus; one = at once; several = enter joint consensus, and stay until told to leave. */
export type PeerChanges = readonly PeerChange[];

/** The region after the changes, or why they cannot be made. */
export type Changed = { readonly region: Region } | { readonly refused: string };

/**
 * What a region's peers are after a committed change (tikv/tikv:components/raftstore/src/store/fsm/apply.rs,
 * `apply_conf_change` and `apply_leave_joint`): the epoch's conf_ver grows by one for each peer that changes.
 */
export function changePeers(region: Region, changes: PeerChanges): Changed {
  if (changes.length === 0) return leaveJoint(region);
  let { peers } = region;
  for (const change of changes) {
    const next = changeOne(peers, change, changes.length > 1);
    if (typeof next === "string") return { refused: next };
    peers = next;
  }
  return { region: withPeers(region, peers, changes.length) };
}

function leaveJoint(region: Region): Changed {
  const settled = region.peers.map((peer): Peer => ({ ...peer, role: AFTER_JOINT[peer.role] }));
  const moved = settled.filter(({ role }, at) => role !== region.peers[at]?.role).length;
  if (moved === 0) return { refused: `can't leave a non-joint config, region ${region.id}` };
  return { region: withPeers(region, settled, moved) };
}

const AFTER_JOINT: Readonly<Record<PeerRole, PeerRole>> = {
  voter: "voter",
  learner: "learner",
  "incoming-voter": "voter",
  "demoting-voter": "learner",
};

function changeOne(peers: readonly Peer[], { type, peer }: PeerChange, joint: boolean): readonly Peer[] | string {
  const present = peers.find(({ storeId }) => storeId === peer.storeId);
  if (present?.role === "incoming-voter" || present?.role === "demoting-voter")
    return `configuration is still in joint state: ${text(present)}`;
  const as = (role: PeerRole): readonly Peer[] =>
    present === undefined
      ? [...peers, { ...peer, role }]
      : peers.map((other) => (other === present ? { ...other, role } : other));
  if (type === "remove") {
    if (present === undefined) return `remove missing peer ${text(peer)}`;
    if (present.id !== peer.id) return `remove unmatched peer: expect: ${text(peer)}, get ${text(present)}, ignore`;
    if (joint && present.role === "voter") return `can not remove voter ${text(peer)} directly`;
    return peers.filter((other) => other !== present);
  }
  const wanted = type === "add-voter" ? ("voter" as const) : ("learner" as const);
  if (present !== undefined && (present.id !== peer.id || present.role === wanted))
    return `can't add duplicated peer ${text(peer)}, duplicated with exist peer ${text(present)}`;
  if (!joint || (present === undefined && wanted === "learner")) return as(wanted);
  return as(wanted === "voter" ? "incoming-voter" : "demoting-voter");
}

function withPeers(region: Region, peers: readonly Peer[], changes: number): Region {
  const { confVer, version } = region.epoch;
  return { ...region, peers, epoch: { confVer: confVer + changes, version } };
}

/**
 * Why a leader does not even propose the changes, or null (tikv/tikv:components/raftstore/src/store/peer.rs,
 * `check_conf_change`). PD hands leadership over first when the leader itself is to go.
 */
export function refusedChange(region: Region, changes: PeerChanges, leaderId: number): string | null {
  const leader = region.peers.find(({ id }) => id === leaderId);
  if (changes.length === 0) {
    if (!isJoint(region)) return "can't leave a non-joint config";
    return leader?.role === "demoting-voter" ? "ignore leave joint command that demoting leader" : null;
  }
  if (isJoint(region)) return "configuration is still in joint state";
  const seen = new Set<number>();
  for (const { type, peer } of changes) {
    const valid = type === "remove" || (type === "add-voter" ? peer.role === "voter" : peer.role === "learner");
    if (!valid) return `invalid conf change request: ${type} ${text(peer)}`;
    if (type === "remove" && peer.role === "voter" && changes.length > 1)
      return `invalid conf change request: ${text(peer)}, can not remove voter directly`;
    if (seen.has(peer.id)) return `invalid conf change request, have multiple commands for the same peer ${peer.id}`;
    seen.add(peer.id);
    // In joint consensus the leader may be demoted: it hands over before the joint state is left.
    if (peer.id === leaderId && (type === "remove" || (type === "add-learner" && changes.length === 1)))
      return "ignore remove leader or demote leader";
  }
  const touchesVoters = changes.some(
    ({ type, peer }) => type === "add-voter" || region.peers.some(({ id, role }) => id === peer.id && role === "voter"),
  );
  if (changes.length > 1 && !touchesVoters)
    return "invalid conf change request, multiple changes that only effect learner";
  const after = changePeers(region, changes);
  if ("refused" in after) return after.refused;
  return after.region.peers.some(({ role }) => role === "voter" || role === "incoming-voter")
    ? null
    : "removed all voters";
}

/** What the log holds: Raft's steps, and in the context what the region needs to know. */
export function confChange(epoch: RegionEpoch, changes: PeerChanges): ConfChange {
  const writer = new ByteWriter().number(epoch.confVer).u32(changes.length);
  for (const { type, peer } of changes) {
    writer.byte(CHANGE_TYPES.indexOf(type));
    writePeer(writer, peer);
  }
  const transition = changes.length > 1 ? ("explicit" as const) : ("auto" as const);
  return { steps: changes.map(({ type, peer }) => ({ type, id: peer.id })), transition, context: writer.done() };
}

/** @throws RangeError when `confChange` did not make it. */
export function readPeerChanges(context: Buffer): { readonly confVer: number; readonly changes: PeerChanges } {
  const reader = new ByteReader(context);
  const confVer = reader.number();
  const changes = Array.from({ length: reader.u32() }, () => {
    const type = CHANGE_TYPES[reader.byte()];
    if (type === undefined) throw new RangeError("unknown change of a peer");
    return { type, peer: readPeer(reader) };
  });
  return { confVer, changes };
}

function text({ id, storeId }: Peer): string {
  return `id: ${id} store_id: ${storeId}`;
}
