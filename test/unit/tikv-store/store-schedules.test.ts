import { expect, it } from "vitest";
import { seededRandom, type Random } from "../../../harness/base/random.ts";
import { refusedMerge } from "../../../subjects/tikv/stand-in/tikv/region-merge.ts";
import type { RegionPeer } from "../../../subjects/tikv/stand-in/tikv/region-peer.ts";
import { isJoint, regionHolds, type Region } from "../../../subjects/tikv/stand-in/tikv/region.ts";
import { transferLeader } from "../../../subjects/tikv/stand-in/tikv/transfer-leader.ts";
import { StoreCluster } from "../../support/store-cluster.ts";

const STORES = [1, 2, 3, 4];
const KEYS = Array.from({ length: 26 }, (_, at) => String.fromCharCode(97 + at));
const SCHEDULES = 12;
const STEPS = 120;

/** Does at random what PD, clients and bad days do to four stores. */
class Schedule {
  readonly cluster = new StoreCluster(STORES);
  /** By key: the last value that was acknowledged, and what may have come after it. */
  readonly #acknowledged = new Map<string, string>();
  readonly #maybe = new Map<string, Set<string>>();
  readonly #random: Random;
  #lastId = 1_000;
  #lastValue = 0;
  merges = 0;
  moves = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  async run(): Promise<void> {
    await this.cluster.begin([1, 2, 3]);
    const acts = [
      () => this.#put(),
      () => this.#put(),
      () => this.#put(),
      () => this.#split(),
      () => this.#merge(),
      () => this.#move(),
      () => this.#move(),
      () => this.#transfer(),
      () => this.#cut(),
      () => this.#restart(),
      () => this.cluster.tick(1 + this.#random.int(3)),
    ];
    for (let step = 0; step < STEPS; step++) await acts[this.#random.int(acts.length)]?.();
    this.cluster.cut.clear();
    await this.#judge();
  }

  #leaders(): RegionPeer[] {
    const all = STORES.flatMap((id) => [...this.cluster.store(id).peers]);
    // Where two claim to lead, the one of the higher term does.
    const newest = all.toSorted((a, b) => b.node.roleState.term - a.node.roleState.term);
    return newest.filter(
      (peer, at) => peer.isLeader && newest.findIndex((other) => other.id === peer.id && other.isLeader) === at,
    );
  }

  #one<T>(all: readonly T[]): T | undefined {
    return all.length === 0 ? undefined : all[this.#random.int(all.length)];
  }

  #holding(key: string): RegionPeer | undefined {
    return this.#leaders().find(({ region }) => region !== null && regionHolds(region, key));
  }

  async #put(): Promise<void> {
    const key = this.#one(KEYS) ?? "a";
    const leader = this.#holding(key);
    if (leader?.region == null) return;
    const value = String(++this.#lastValue);
    const maybe = this.#maybe.get(key) ?? new Set();
    this.#maybe.set(key, maybe.add(value));
    const op = { kind: "put" as const, key, value: Buffer.from(value) };
    const written = leader.write([op], leader.region.epoch.version, false).then((result) => {
      if (!result.ok) return;
      this.#acknowledged.set(key, value);
      // Older ones that nobody knows of may still come: they were proposed before, under an older term or not at all.
      for (const other of maybe) if (Number(other) <= Number(value)) maybe.delete(other);
    });
    await this.cluster.settle();
    if (this.#random.int(4) === 0) await this.cluster.tick();
    void written;
  }

  async #split(): Promise<void> {
    const leader = this.#one(this.#leaders());
    const key = this.#one(KEYS) ?? "m";
    if (leader?.region == null || key <= leader.region.startKey || !regionHolds(leader.region, key)) return;
    const parts = [{ regionId: this.#newId(), peerIds: leader.region.peers.map(() => this.#newId()) }];
    void leader.split(leader.region.epoch, [key], parts);
    await this.cluster.settle();
  }

  async #merge(): Promise<void> {
    const source = this.#one(this.#leaders());
    const { region } = source ?? {};
    if (source === undefined || region == null) return;
    const isNeighbour = (other: Region) =>
      (region.endKey !== "" && other.startKey === region.endKey) ||
      (region.startKey !== "" && other.endKey === region.startKey);
    const target = this.#one(
      this.#leaders().flatMap((peer) => (peer.region !== null && isNeighbour(peer.region) ? [peer.region] : [])),
    );
    const store = this.cluster.store(source.self?.storeId ?? 1);
    if (target === undefined || refusedMerge(source, target, store) !== null) return;
    source.merge(() => ({ kind: "prepare-merge", epoch: region.epoch, target }));
    this.merges++;
    await this.cluster.tick(this.#random.int(3));
  }

  /** One step of moving a replica, wherever the region stands in it. */
  async #move(): Promise<void> {
    const leader = this.#one(this.#leaders());
    const { region } = leader ?? {};
    if (leader === undefined || region == null) return;
    const learner = region.peers.find(({ role }) => role === "learner");
    const free = STORES.filter((id) => region.peers.every(({ storeId }) => storeId !== id));
    if (isJoint(region)) leader.changePeers([]);
    else if (region.peers.length > 3 && learner !== undefined && this.#random.int(2) === 0)
      leader.changePeers([{ type: "remove", peer: learner }]);
    else if (learner !== undefined) {
      const old = this.#one(region.peers.filter(({ role }) => role === "voter"));
      const promoted = { type: "add-voter" as const, peer: { ...learner, role: "voter" as const } };
      if (
        old !== undefined &&
        leader.changePeers([promoted, { type: "add-learner", peer: { ...old, role: "learner" } }]) === null
      )
        this.moves++;
    } else if (free[0] !== undefined)
      leader.changePeers([{ type: "add-learner", peer: { id: this.#newId(), storeId: free[0], role: "learner" } }]);
    await this.cluster.settle();
  }

  async #transfer(): Promise<void> {
    const leader = this.#one(this.#leaders());
    const to = this.#one(leader?.region?.peers ?? []);
    if (leader !== undefined && to !== undefined) transferLeader(leader, [to.id]);
    await this.cluster.tick();
  }

  async #cut(): Promise<void> {
    const { cut } = this.cluster;
    if (cut.size > 0) cut.clear();
    else cut.add(this.#one(STORES) ?? 1);
    await this.cluster.tick(this.#random.int(14));
  }

  async #restart(): Promise<void> {
    const id = this.#one(STORES) ?? 1;
    await this.cluster.stop(id);
    this.cluster.start(id);
    await this.cluster.tick(this.#random.int(4));
  }

  #newId(): number {
    return ++this.#lastId;
  }

  /** Everything is connected again: every range is led by somebody, and holds what was acknowledged. */
  async #judge(): Promise<void> {
    const whole = () => {
      const leaders = this.#leaders().filter(({ node, state }) => node.leadsFirmly && state?.mergingInto === null);
      return KEYS.every((key) => leaders.some(({ region }) => region !== null && regionHolds(region, key)));
    };
    await this.cluster.until(whole);
    await this.cluster.tick(3);
    await this.cluster.until(whole);
    for (const key of KEYS) {
      const leader = this.#holding(key);
      const found = leader?.state?.values.of("default").get(key)?.toString();
      const allowed = [this.#acknowledged.get(key), ...(this.#maybe.get(key) ?? [])];
      expect(allowed, `${key} in region ${leader?.id}`).toContain(found);
    }
  }
}

it("no schedule of splits, merges, moves, cuts and restarts loses an acknowledged write", async () => {
  let [merges, moves] = [0, 0];
  for (let number = 0; number < SCHEDULES; number++) {
    const schedule = new Schedule(seededRandom(`stores ${number}`));
    try {
      await schedule.run();
    } catch (error) {
      throw new Error(`schedule ${number}: ${String(error)}\n${schedule.cluster.log.slice(-40).join("")}`, {
        cause: error,
      });
    }
    [merges, moves] = [merges + schedule.merges, moves + schedule.moves];
  }
  expect(merges).toBeGreaterThan(SCHEDULES / 2);
  expect(moves).toBeGreaterThan(SCHEDULES / 2);
}, 120_000);
