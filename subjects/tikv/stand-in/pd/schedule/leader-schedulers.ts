import type { Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import type { Plan } from "./operator.ts";

export interface LeaderInput {
  readonly regions: readonly Region[];
  readonly stores: readonly StoreView[];
  /** Regions with an operator already. */
  isBusy(regionId: number): boolean;
  /** Leaders that are on their way to (positive) or from a store. */
  readonly inFlight: ReadonlyMap<number, number>;
  readonly evicted: ReadonlySet<number>;
  readonly granted: ReadonlySet<number>;
  /** At most so many transfers are proposed. */
  readonly limit: number;
}

export interface LeaderMove {
  readonly region: Region;
  readonly plan: Plan;
}

/** Every leader away from the stores named, to where fewest are. */
export function evictLeaders(input: LeaderInput): LeaderMove[] {
  const load = new Load(input);
  return input.regions
    .filter((region) => region.leader !== null && input.evicted.has(region.leader.storeId) && !input.isBusy(region.id))
    .flatMap((region) => load.move(region, load.targets(region)[0], "evict-leader"))
    .slice(0, input.limit);
}

/** Every leader to the stores named, where they have a replica. */
export function grantLeaders(input: LeaderInput): LeaderMove[] {
  const load = new Load(input);
  return input.regions
    .filter((region) => region.leader !== null && !input.granted.has(region.leader.storeId) && !input.isBusy(region.id))
    .flatMap((region) => {
      const target = load.targets(region).find(({ meta }) => input.granted.has(meta.id));
      return load.move(region, target, "grant-leader");
    })
    .slice(0, input.limit);
}

/** Leaders from where most are to where fewest are, until no move makes it more even. */
export function balanceLeaders(input: LeaderInput): LeaderMove[] {
  const load = new Load(input);
  const moves: LeaderMove[] = [];
  while (moves.length < input.limit) {
    const move = oneMove(input, load);
    if (move === null) break;
    moves.push(move);
  }
  return moves;
}

function oneMove({ stores, regions, isBusy }: LeaderInput, load: Load): LeaderMove | null {
  const sources = stores
    .filter(({ meta }) => load.count(meta.id) > 0)
    .sort((a, b) => load.score(b) - load.score(a) || a.meta.id - b.meta.id);
  for (const source of sources) {
    for (const region of regions) {
      if (region.leader?.storeId !== source.meta.id || isBusy(region.id) || load.isMoved(region)) continue;
      // It must be better afterwards: the target still below the source.
      const target = load
        .targets(region)
        .find((each) => load.score(each, 1) <= load.score(source, -1) && load.score(each) < load.score(source));
      const moves = load.move(region, target, "balance-leader");
      if (moves[0] !== undefined) return moves[0];
    }
  }
  return null;
}

/** How many leaders each store has, with what is under way and what was decided here counted in. */
class Load {
  readonly #input: LeaderInput;
  readonly #counts = new Map<number, number>();
  readonly #moved = new Set<number>();

  constructor(input: LeaderInput) {
    this.#input = input;
    for (const { meta, leaderCount } of input.stores)
      this.#counts.set(meta.id, leaderCount + (input.inFlight.get(meta.id) ?? 0));
  }

  count(storeId: number): number {
    return this.#counts.get(storeId) ?? 0;
  }

  score({ meta }: StoreView, change = 0): number {
    return (this.count(meta.id) + change) / Math.max(meta.leaderWeight, 1e-6);
  }

  isMoved(region: Region): boolean {
    return this.#moved.has(region.id);
  }

  /** Stores that can take this leader now, the least loaded first. */
  targets(region: Region): StoreView[] {
    return this.#input.stores
      .filter((store) => this.#canLead(region, store))
      .sort((a, b) => this.score(a) - this.score(b) || a.meta.id - b.meta.id);
  }

  move(region: Region, target: StoreView | undefined, name: string): LeaderMove[] {
    const from = region.leader?.storeId;
    if (target === undefined || from === undefined || this.isMoved(region)) return [];
    this.#moved.add(region.id);
    this.#counts.set(from, this.count(from) - 1);
    this.#counts.set(target.meta.id, this.count(target.meta.id) + 1);
    const steps = [{ kind: "transfer-leader", from, to: target.meta.id }] as const;
    return [{ region, plan: { desc: name, kinds: ["leader"], steps } }];
  }

  #canLead(region: Region, { meta, stateName, stats }: StoreView): boolean {
    return (
      stateName === "Up" &&
      stats?.isBusy !== true &&
      stats?.isStopping !== true &&
      !this.#input.evicted.has(meta.id) &&
      meta.id !== region.leader?.storeId &&
      region.peers.some(({ storeId, role }) => storeId === meta.id && role === 0) &&
      region.pendingPeers.every(({ storeId }) => storeId !== meta.id) &&
      region.downPeers.every(({ peer }) => peer.storeId !== meta.id)
    );
  }
}
