import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { clientSuccess } from "./client-success.ts";
import { diskSpace } from "./disk-space.ts";
import { errorRatio } from "./error-ratio.ts";
import { latency } from "./latency.ts";
import { pdLeader } from "./pd-leader.ts";
import { pdMemberUp } from "./pd-member-up.ts";
import { pdQuorum } from "./pd-quorum.ts";
import { regionHealth } from "./region-health.ts";
import { restarts } from "./restarts.ts";
import { storeUp } from "./store-up.ts";
import { targetUp } from "./target-up.ts";

/** All of them; grace, clear and trust periods times `timeFactor`. */
export function tikvInvariants(timeFactor = 1): readonly Invariant<TikvObservation>[] {
  return [
    storeUp,
    pdMemberUp,
    pdLeader,
    pdQuorum,
    regionHealth,
    latency,
    errorRatio,
    diskSpace,
    targetUp,
    clientSuccess,
    restarts,
  ].map((invariant) => invariant(timeFactor));
}
