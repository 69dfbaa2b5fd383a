import type { CauseClass } from "../../../harness/protocol.ts";

/**
 * The published list of causes that a diagnosis is made of: every row of `tikv-facts.md` section 6 and some more, so
 * that it does not give away which of them can happen. A scenario's accepted diagnoses use the same ids.
 */
const definitions = {
  "process-stopped":
    "A component's process has ended (crash, kill or stop) and nothing brings it back: it is down until somebody starts it.",
  "process-restarted":
    "A component's process ended by itself and its restart policy started it again: it was away for a while and runs now.",
  "process-restart-loop": "A component's process ends again and again shortly after each start.",
  "process-frozen":
    "A component's process exists and keeps its connections, but executes nothing (suspended or paused): requests hang.",
  "network-isolated": "A component runs, but exchanges no traffic with the rest of the cluster.",
  "network-partial": "Some links between components are cut while others work.",
  "network-latency": "Traffic from or to a component is delayed.",
  "network-loss": "A share of the packets from or to a component is lost.",
  "name-resolution": "A component runs, but its name does not resolve for its peers or clients.",
  "pd-quorum-lost": "Too few PD members are left to elect a leader.",
  "data-quorum-lost": "So many stores are gone that regions have no majority of replicas.",
  "disk-full": "A component refuses work or has ended because its disk has no room left.",
  "disk-slow": "A component's disk answers slowly or not at all.",
  "memory-exhausted": "A component was ended by its memory limit, or is about to be.",
  "cpu-starved": "A component gets too little processor time for its load.",
  "file-descriptors-exhausted": "A component cannot open more files or connections.",
  overload: "Clients ask for more than healthy components can do.",
  "hot-spot": "Load concentrates on a few regions or one store.",
  "clock-skew": "A host's clock is wrong or jumps.",
  "configuration-invalid":
    "A setting is wrong: the component does not start with it, or behaves wrongly because of it.",
  "certificate-invalid": "Connections fail because a certificate is expired, wrong or not trusted.",
  "binary-mismatch": "The image or binary does not fit: wrong version, library (GLIBC), platform or processor level.",
  "data-folder-lost": "A node's data folder was emptied or replaced: it returns as a stranger under its old address.",
  "data-corrupted": "A component refuses to start or serve because its data is damaged.",
  "scheduling-blocked": "PD's schedulers or checkers are paused, halted or limited to nothing.",
  "store-offline": "A store was told to leave the cluster and is draining, or cannot finish draining.",
  "leaders-evicted": "A rule keeps leaders away from a store that could lead.",
  "placement-misconfigured": "Weights, labels or placement rules spread leaders or replicas wrongly.",
  "region-stuck": "Single regions have a dead or lagging replica while their stores are well.",
  "monitoring-gap": "Only the view is broken: metrics or probes are missing while the cluster serves.",
  none: "Nothing is or was wrong: the report cannot be confirmed.",
  other: "Something that no other class describes; the explanation says what.",
} as const;

export type CauseId = keyof typeof definitions;

export const causes: readonly CauseClass[] = Object.entries(definitions).map(([id, definition]) => ({
  id,
  definition,
}));
