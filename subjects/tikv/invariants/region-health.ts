import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, newest, unknown, violated, whyMissing } from "./judging.ts";

/** Regions report to PD every 60 s; a new leader's statistics start empty. */
const TRUSTED_AFTER_MS = 60_000;

/** No region misses a peer or has one that is down, behind, or on a store being removed. */
export function regionHealth(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "region_health",
    description: "every region has all its replicas, none of them down or far behind",
    graceMs: 60_000 * timeFactor,
    clearMs: 15_000 * timeFactor,
    windowMs: 0,
    judge(window) {
      const { pd } = newest(window).sources;
      if (pd === undefined) return [];
      if (!pd.ok || !pd.value.regions.ok) return [unknown(null, whyMissing(pd.ok ? pd.value.regions : pd, "PD") ?? "")];
      const { missPeer, downPeer, pendingPeer, offlinePeer } = pd.value.regions.value;
      const parts = (
        [
          [missPeer, "miss a replica"],
          [downPeer, "have a replica that is down"],
          [pendingPeer, "have a replica that is behind"],
          [offlinePeer, "have a replica on a store that is being removed"],
        ] as const
      ).flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []));
      if (parts.length > 0) return [violated(null, "warning", `regions: ${parts.join(", ")}`, pd.value.regions.value)];
      const age = pd.value.leader?.forMs ?? 0;
      return [
        age >= TRUSTED_AFTER_MS * timeFactor ? held(null) : unknown(null, "PD's region statistics are too young"),
      ];
    },
  };
}
