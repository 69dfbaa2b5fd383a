import { describe, expect, test } from "vitest";
import { checkMerge, type MergeInput } from "../../../subjects/tikv/stand-in/pd/schedule/merge-checker.ts";
import { checkRules, leaveJointState } from "../../../subjects/tikv/stand-in/pd/schedule/rule-checker.ts";
import { newSlowMemory, nextSlowStores } from "../../../subjects/tikv/stand-in/pd/schedule/slow-store.ts";
import { inWords, NOW, viewOf, type Scene, type SceneRegion } from "../../support/pd-scene.ts";

/** What the rule checker wants of the first region, and what it counts. */
function check(scene: Scene): { plan: string | null; counted: string[] } {
  const view = viewOf(scene);
  const counted: string[] = [];
  const plan = checkRules(view, view.regions[0] ?? expect.fail(), (name) => counted.push(name));
  return { plan: inWords(plan), counted };
}
const three: SceneRegion = { voters: [1, 2, 3] };
const zone = (value: string) => [{ key: "zone", value }];

describe("replicas", () => {
  test("as many as asked for: nothing to do", () => {
    expect(check({ stores: [1, 2, 3, 4], regions: [three] })).toEqual({ plan: null, counted: ["check"] });
  });

  test("a missing one is added where fewest data are, by learner and promotion", () => {
    const regions = [{ voters: [1, 2] }, { voters: [3, 1, 2] }];
    expect(check({ stores: [1, 2, 3, 4], regions }).plan).toMatch(
      /^add-rule-peer: add learner peer 1001 on store 4; use joint consensus, promote learner peer 1001|^add-rule-peer: add learner peer 1001 on store 4; promote learner/,
    );
  });

  test("without a store for it `no-store-add` is counted", () => {
    expect(check({ stores: [1, 2], regions: [{ voters: [1, 2] }] })).toMatchObject({
      plan: null,
      counted: expect.arrayContaining(["no-store-add"]),
    });
    const low = { id: 3, available: 2 ** 30 };
    expect(check({ stores: [1, 2, low], regions: [{ voters: [1, 2] }] }).counted).toContain("no-store-add");
  });

  test("one too many goes, but not while another is down", () => {
    const four = { voters: [1, 2, 3, 4] };
    expect(check({ stores: [1, 2, 3, 4], regions: [four] }).plan).toMatch(
      /^remove-orphan-peer: .*remove peer on store 4$/,
    );
    const down = { ...four, down: [4] };
    expect(check({ stores: [1, 2, 3, 4], regions: [down] }).plan).toMatch(/remove peer on store 4$/);
  });

  test("a learner that nobody asked for is promoted", () => {
    expect(check({ stores: [1, 2, 3], regions: [{ voters: [1, 2], learners: [3] }] }).plan).toBe(
      "fix-peer-role: promote learner peer 13 on store 3 to voter",
    );
  });

  test("a silent peer is replaced only when its store is Down too", () => {
    const region = { ...three, down: [2] };
    const with2 = (silent: number) => ({ stores: [1, { id: 2, silent }, 3, 4], regions: [region] });
    expect(check(with2(5)).plan).toBeNull();
    expect(check(with2(1_000)).plan).toBeNull();
    expect(check(with2(1_801)).plan).toMatch(/^replace-rule-down-peer: add learner peer 1001 on store 4; .*store 2$/);
    const unheard = { ...with2(1_801), regions: [three] };
    expect(check(unheard).plan).toBeNull();
    const nowhere = { stores: [1, { id: 2, silent: 1_801 }, 3], regions: [region] };
    expect(check(nowhere).counted).toContain("no-store-replace");
  });

  test("an Offline store is left at once, its leaders first to whoever has fewest", () => {
    const stores = [{ id: 1, state: 1 as const }, 2, 3, 4];
    expect(check({ stores, regions: [three, { voters: [2, 3, 4] }] }).plan).toMatch(
      /^replace-rule-offline-leader-peer: add learner peer 1001 on store 4; transfer leader from store 1 to store 3; /,
    );
  });

  test("more or fewer are kept when max-replicas says so", () => {
    const scene = { stores: [1, 2, 3, 4, 5], regions: [three] };
    expect(check({ ...scene, replication: { "max-replicas": 5 } }).plan).toMatch(/^add-rule-peer/);
    expect(check({ ...scene, replication: { "max-replicas": 1 } }).plan).toMatch(/^remove-orphan-peer/);
  });
});

describe("places", () => {
  const labels = { "location-labels": "zone" };

  test("a replica moves to a zone of its own", () => {
    const stores = [
      { id: 1, labels: zone("a") },
      { id: 2, labels: zone("a") },
      { id: 3, labels: zone("b") },
      { id: 4, labels: zone("c") },
    ];
    expect(check({ stores, regions: [three], replication: labels }).plan).toMatch(
      /^move-to-better-location: .*on store 4.*remove peer on store [12]$/,
    );
    expect(check({ stores, regions: [three] }).plan).toBeNull();
  });

  test("isolation-level lets no two replicas into one zone, though one is missing", () => {
    const stores = [
      { id: 1, labels: zone("a") },
      { id: 2, labels: zone("b") },
      { id: 3, labels: zone("a") },
    ];
    const scene = { stores, regions: [{ voters: [1, 2] }] };
    expect(check({ ...scene, replication: labels }).plan).toMatch(/^add-rule-peer.*store 3/);
    const isolated = check({ ...scene, replication: { ...labels, "isolation-level": "zone" } });
    expect(isolated).toMatchObject({ plan: null, counted: expect.arrayContaining(["no-store-add"]) });
  });

  test("a rule's constraint keeps replicas to stores that have its label", () => {
    const constraints = [{ key: "disk", op: "in", values: ["ssd"] }] as const;
    const stores = [1, 2, 3, { id: 4, labels: [{ key: "disk", value: "ssd" }] }];
    const { plan } = check({ stores, regions: [{ voters: [1] }], rules: [{ count: 1, constraints }] });
    expect(plan).toMatch(/add-rule-peer: .*store 4/);
  });
});

test("a joint state that somebody left is left, after the leader that is to go has gone", () => {
  const view = viewOf({ stores: [1, 2, 3, 4], regions: [three] });
  const region = view.regions[0] ?? expect.fail();
  const withRoles = (roles: readonly number[]) => ({
    ...region,
    peers: region.peers.map((peer, at) => ({ ...peer, role: roles[at] ?? 0 })),
  });
  expect(inWords(leaveJointState(view, withRoles([0, 3, 2]), () => {}))).toMatch(
    /^leave-joint-state: leave joint state/,
  );
  expect(inWords(leaveJointState(view, withRoles([3, 0, 2]), () => {}))).toMatch(
    /^leave-joint-state: transfer leader from store 1 to store 2; leave joint state/,
  );
});

describe("merges", () => {
  const input: MergeInput = { recentlyStarted: false, wasSplitRecently: () => false, boundaries: new Set() };
  const merge = (scene: Partial<Scene>, more: Partial<MergeInput> = {}) => {
    const view = viewOf({ stores: [1, 2, 3], regions: [three, three, three], ...scene });
    const counted: string[] = [];
    const plans = checkMerge(view, 1, { ...input, ...more }, (name) => counted.push(name));
    return { plans: plans.map(inWords), counted };
  };

  test("a small region goes into the next one, or the one before when that is smaller", () => {
    expect(merge({}).plans).toEqual([
      "merge-region: merge region 2 into region 3",
      "merge-region: merge region 2 into region 3",
    ]);
    const regions = [{ ...three, approximateSize: 1 }, three, three];
    expect(merge({ regions }).plans[0]).toMatch(/into region 1$/);
    expect(merge({ regions, schedule: { "enable-one-way-merge": "true" } }).plans[0]).toMatch(/into region 3$/);
  });

  test.each<[string, Partial<Scene>, Partial<MergeInput>]>([
    ["no-need", { regions: [three, { ...three, approximateSize: 200 }, three] }, {}],
    ["recently-start", {}, { recentlyStarted: true }],
    ["recently-split", {}, { wasSplitRecently: (id) => id === 2 }],
    ["unhealthy-region", { regions: [three, { ...three, pending: [3] }, three] }, {}],
    ["abnormal-replica", { regions: [three, { voters: [1, 2] }, three] }, {}],
    ["hot-region", { heat: (id) => (id === 2 ? 1 : 0) }, {}],
    ["adj-disallow-merge", {}, { boundaries: new Set(["0001", "0002"]) }],
    [
      "target-too-large",
      { regions: [{ ...three, approximateSize: 501 }, three, { ...three, approximateSize: 600 }] },
      {},
    ],
  ])("%s", (why, scene, more) => {
    const { plans, counted } = merge(scene, more);
    expect(plans).toEqual([]);
    expect(counted).toContain(why);
  });
});

describe("slow stores", () => {
  const scores = (...all: number[]) =>
    viewOf({ stores: all.map((slowScore, at) => ({ id: at + 1, slowScore })), regions: [] }).stores;
  const config = { stores: [], recoverySec: 600, batch: 3 };

  test("one at 100 and no other at 80 is evicted", () => {
    expect(nextSlowStores(config, scores(100, 1, 1), newSlowMemory(), NOW, 1)).toEqual([1]);
    expect(nextSlowStores(config, scores(99, 1, 1), newSlowMemory(), NOW, 1)).toBeNull();
    expect(nextSlowStores(config, scores(100, 80, 1), newSlowMemory(), NOW, 1)).toBeNull();
  });

  test("it is well after its recovery time only, counted anew when it is sick again", () => {
    const caught = { ...config, stores: [1] };
    const memory = newSlowMemory();
    const at = (score: number, second: number) =>
      nextSlowStores(caught, scores(score, 1), memory, NOW + second * 1_000, 1);
    expect(at(1, 0)).toBeNull();
    expect(at(1, 599)).toBeNull();
    expect(at(2, 600)).toBeNull();
    expect(at(1, 700)).toBeNull();
    expect(at(1, 1_299)).toBeNull();
    expect(at(1, 1_300)).toEqual([]);
  });
});
