import type { Peer, Region } from "../regions.ts";
import { buildPlan, CannotBuild, type Wish } from "./build-plan.ts";
import type { OperatorKind, Plan } from "./operator.ts";
import { ROLE, type SplitPolicy } from "./step.ts";
import type { View } from "./view.ts";

/** A region's peers as `Wish.peers` wants them, to be changed and handed on. */
export function peersOf({ peers }: Region): Map<number, "voter" | "learner"> {
  return new Map(peers.map(({ storeId, role }) => [storeId, role === ROLE.learner ? "learner" : "voter"]));
}

/** @throws CannotBuild */
export function movePeer(view: View, region: Region, from: number, to: number, wish: Omit<Wish, "peers">): Plan {
  const peers = peersOf(region);
  const role = peers.get(from) ?? "voter";
  peers.delete(from);
  return buildPlan(view, region, { ...wish, peers: peers.set(to, role) });
}

/** @throws CannotBuild */
export function addPeer(view: View, region: Region, to: number, role: "voter" | "learner", wish: Wish): Plan {
  return buildPlan(view, region, { ...wish, peers: peersOf(region).set(to, role) });
}

/** @throws CannotBuild */
export function removePeer(view: View, region: Region, from: number, wish: Wish): Plan {
  const peers = peersOf(region);
  peers.delete(from);
  return buildPlan(view, region, { ...wish, peers });
}

export function splitPlan(
  region: Region,
  desc: string,
  policy: SplitPolicy,
  keys: readonly string[],
  kinds: readonly OperatorKind[],
): Plan {
  const shown = keys.length === 0 ? "" : ` and keys [${keys.join(" ").toUpperCase()}]`;
  const { startKey, endKey } = region;
  return {
    region,
    desc,
    brief: `split: region ${region.id} use policy ${policy}${shown}`,
    kinds: [...kinds, "split"],
    steps: [{ kind: "split", policy, keys, startKey, endKey }],
  };
}

/**
 * Both operators of a merge: the source first goes to the stores of the target.
 *
 * @throws CannotBuild
 */
export function mergePlans(
  view: View,
  source: Region,
  target: Region,
  desc: string,
  kinds: readonly OperatorKind[],
): Plan[] {
  const where = ({ peers }: Region) =>
    peers
      .map(({ storeId, role }: Peer) => `${storeId}/${role}`)
      .sort()
      .join();
  const moves =
    where(source) === where(target) ? null : buildPlan(view, source, { desc, kinds, peers: peersOf(target) });
  const brief = `merge: region ${source.id} to ${target.id}`;
  const all = [...(moves?.kinds ?? kinds), "merge" as const];
  const step = { kind: "merge", source, target } as const;
  return [
    {
      region: source,
      desc,
      brief,
      kinds: all,
      steps: [...(moves?.steps ?? []), { ...step, passive: false }],
      relatedRegionId: target.id,
    },
    { region: target, desc, brief, kinds: all, steps: [{ ...step, passive: true }], relatedRegionId: source.id },
  ];
}

export function planOrNull(make: () => Plan): Plan | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof CannotBuild) return null;
    throw error;
  }
}
