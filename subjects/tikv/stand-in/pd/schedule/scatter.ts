import type { Region } from "../regions.ts";
import { buildPlan } from "./build-plan.ts";
import { PRIORITY, type Plan } from "./operator.ts";
import { placesFor } from "./region-schedulers.ts";
import { ROLE } from "./step.ts";
import type { View } from "./view.ts";

/** How often each store was chosen for a peer or a leader, by group of regions. */
export class Scatterer {
  readonly #peers = new Map<string, number>();
  readonly #leaders = new Map<string, number>();

  clear(): void {
    this.#peers.clear();
    this.#leaders.clear();
  }

  /**
   * Spreads a region's peers and its leader to the stores that were chosen least in its group
   * (tikv/pd:pkg/schedule/scatter/region_scatterer.go).
   *
   * @returns null when it lies well already
   * @throws CannotBuild
   */
  scatter(view: View, region: Region, group: string): Plan | null {
    const peers = new Map<number, "voter" | "learner">();
    for (const peer of region.peers) {
      const store = view.byId.get(peer.storeId);
      const places = store === undefined ? [] : placesFor(view, region, store).map(({ meta }) => meta.id);
      const choices = [peer.storeId, ...places].filter((id) => !peers.has(id));
      const best = this.#least(this.#peers, group, choices);
      peers.set(best, peer.role === ROLE.learner ? "learner" : "voter");
      this.#count(this.#peers, group, best);
    }
    const able = [...peers].flatMap(([storeId, role]) => {
      const store = view.byId.get(storeId);
      return role === "voter" && store !== undefined && view.canTakeLeader(store) ? [storeId] : [];
    });
    const leader = able.length === 0 ? (region.leader?.storeId ?? 0) : this.#least(this.#leaders, group, able);
    this.#count(this.#leaders, group, leader);
    const stays = region.peers.every(({ storeId }) => peers.has(storeId)) && leader === region.leader?.storeId;
    if (stays) return null;
    const wish = { desc: "scatter-region", kinds: ["admin"], peers, leader, forceLeader: true, light: true } as const;
    return buildPlan(view, region, { ...wish, priority: PRIORITY.high });
  }

  #least(counts: ReadonlyMap<string, number>, group: string, stores: readonly number[]): number {
    const of = (storeId: number) => counts.get(`${group}/${storeId}`) ?? 0;
    return stores.reduce((a, b) => (of(b) < of(a) ? b : a));
  }

  #count(counts: Map<string, number>, group: string, storeId: number): void {
    const key = `${group}/${storeId}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}
