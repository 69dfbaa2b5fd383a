import type { Component, Invariant, Judgement } from "../../../harness/protocol.ts";
import type { ProbeView, StoreView, TikvObservation } from "../observation.ts";
import { held, newest, percent, unknown, violated } from "./judging.ts";

/** Two store heartbeats of 10 s: before that a new PD leader calls stores Disconnected that are well (facts §10). */
const TRUSTED_AFTER_MS = 20_000;

/**
 * Every store answers us and is Up for PD. A PD leader that is too young to know is believed where our own probe says
 * the same; a store that we cannot probe is judged by an old leader alone. One that answers while PD's view is missing
 * is neither well nor ill.
 */
export function storeUp(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "store_up",
    description: "every store answers its status port and is Up for PD",
    graceMs: 1_000 * timeFactor,
    clearMs: 5_000 * timeFactor,
    windowMs: 0,
    judge(window) {
      const { sources } = newest(window);
      const pd = sources.pd?.ok === true ? sources.pd.value : null;
      const trusted = pd?.leader != null && pd.leader.forMs >= TRUSTED_AFTER_MS * timeFactor;
      const listed =
        pd?.leader != null && pd.stores.ok ? byComponent(pd.stores.value) : new Map<Component, StoreView>();
      const probes = sources.probes?.ok === true ? sources.probes.value : {};
      const clients = clientPart(window);
      const known = new Set([...Object.keys(probes), ...listed.keys()] as Component[]);
      return [...known]
        .sort()
        .map((store) => judgeStore(store, probes[store], listed.get(store), { trusted, clients }));
    },
  };
}

function judgeStore(
  store: Component,
  probe: ProbeView | undefined,
  seen: StoreView | undefined,
  { trusted, clients }: { readonly trusted: boolean; readonly clients: string },
): Judgement {
  const evidence = { probe: probe ?? null, pd: seen ?? null };
  const doubt = unknown(store, "PD's leader is too young to know, or silent");
  if (probe?.answers === false) return violated(store, "critical", `${store} does not answer${clients}`, evidence);
  switch (seen?.stateName) {
    case undefined:
      return doubt;
    case "Up":
      return trusted || probe?.answers === true ? held(store) : doubt;
    case "Offline":
      // Decreed, not observed: true however young the leader is.
      return violated(store, "warning", `PD is removing ${store} (Offline)`, evidence);
    case "Tombstone":
      return unknown(store, "PD has removed it");
    default:
      if (!trusted) return doubt;
      return violated(store, "critical", `PD has not heard from ${store} (${seen?.stateName})${clients}`, evidence);
  }
}

/** A store that came back under a new id leaves its old self behind: the one that PD hears from counts. */
function byComponent(stores: readonly StoreView[]): Map<Component, StoreView> {
  const map = new Map<Component, StoreView>();
  for (const store of stores) if (map.get(store.component)?.stateName !== "Up") map.set(store.component, store);
  return map;
}

function clientPart(window: readonly TikvObservation[]): string {
  const { client } = newest(window).sources;
  const ratio = client?.ok === true ? client.value.okRatio : null;
  return ratio === null || ratio >= 0.99 ? "" : `; ${percent(1 - ratio)} of client operations fail`;
}
