import { describe, expect, test } from "vitest";
import { evictFrom, grantTo, balanceLeader } from "../../../subjects/tikv/stand-in/pd/schedule/leader-schedulers.ts";
import { balanceHotRegion } from "../../../subjects/tikv/stand-in/pd/schedule/hot-region-scheduler.ts";
import { balanceRegion } from "../../../subjects/tikv/stand-in/pd/schedule/region-schedulers.ts";
import { regionScore } from "../../../subjects/tikv/stand-in/pd/schedule/store-score.ts";
import { HotRegions } from "../../../subjects/tikv/stand-in/pd/statistics/hot-regions.ts";
import { inWords, viewOf, type SceneRegion } from "../../support/pd-scene.ts";

const GIB = 2 ** 30;
const times = (count: number, region: SceneRegion): SceneRegion[] => Array.from({ length: count }, () => region);

test("the score of a store is the real one's, recorded with 3 MiB of regions on a disk of 252 GiB", () => {
  const { stores } = viewOf({
    stores: [{ id: 1, capacity: 270_553_174_016, available: 270_536_396_800 }],
    regions: times(3, { voters: [1], approximateSize: 1 }),
  });
  expect(regionScore(stores[0] ?? expect.fail(), 0.8)).toBeCloseTo(6.3927, 3);
});

describe("leaders", () => {
  test("go from where most are to where fewest are, and stay when it would not be more even", () => {
    const uneven = viewOf({ stores: [1, 2, 3], regions: times(6, { voters: [1, 2, 3] }) });
    const plans = balanceLeader.propose(uneven).map(inWords);
    expect(plans.length).toBeGreaterThan(0);
    for (const plan of plans)
      expect(plan).toMatch(/^balance-leader-scheduler: transfer leader from store 1 to store [23]$/);
    const even = [
      ...times(2, { voters: [1, 2, 3] }),
      ...times(2, { voters: [2, 1, 3] }),
      ...times(1, { voters: [3, 1, 2] }),
    ];
    expect(balanceLeader.propose(viewOf({ stores: [1, 2, 3], regions: even }))).toEqual([]);
  });

  test("a weight counts: of a store with weight 0 all go, to it none", () => {
    const stores = [{ id: 1, leaderWeight: 0 }, 2, 3];
    const one = viewOf({ stores, regions: [{ voters: [1, 2, 3] }, ...times(4, { voters: [2, 1, 3] })] });
    expect(inWords(balanceLeader.propose(one)[0])).toMatch(/from store 1 to store 3$/);
  });

  test("never to a store that is silent, leaving, busy, or kept free of leaders", () => {
    const refused = [{ silent: 30 }, { silent: 7_200 }, { state: 1 }, { isBusy: true }] as const;
    for (const how of refused) {
      const view = viewOf({ stores: [1, { id: 2, ...how }], regions: times(4, { voters: [1, 2] }) });
      expect(balanceLeader.propose(view)).toEqual([]);
    }
    const view = viewOf({ stores: [1, 2], regions: times(4, { voters: [1, 2] }), rejecting: new Set([2]) });
    expect(balanceLeader.propose(view)).toEqual([]);
  });

  test("an evicted store gives all away, a granted one takes all", () => {
    const view = viewOf({ stores: [1, 2, 3], regions: times(3, { voters: [1, 2, 3] }) });
    const evicted = evictFrom("evict-leader-scheduler", [1]).propose(view);
    expect(evicted).toHaveLength(3);
    expect(inWords(evicted[0])).toMatch(/^evict-leader-scheduler: transfer leader from store 1 to/);
    expect(inWords(grantTo([2]).propose(view)[0])).toMatch(/transfer leader from store 1 to store 2$/);
  });
});

describe("regions", () => {
  const full = times(12, { voters: [1, 2, 3], approximateSize: 10 });

  test("go to an empty store, from where most are, and no further than even", () => {
    const plan = balanceRegion.propose(viewOf({ stores: [1, 2, 3, 4], regions: full }))[0];
    expect(inWords(plan)).toMatch(
      /^balance-region-scheduler: add learner peer 1001 on store 4; .*remove peer on store [123]$/,
    );
    expect(balanceRegion.propose(viewOf({ stores: [1, 2, 3], regions: full }))).toEqual([]);
  });

  test("not to a store that is low on space, has no room in its limit, or many peers behind", () => {
    const low = { id: 4, available: GIB };
    expect(balanceRegion.propose(viewOf({ stores: [1, 2, 3, low], regions: full }))).toEqual([]);
    const isOpen = (store: { meta: { id: number } }) => store.meta.id !== 4;
    expect(balanceRegion.propose(viewOf({ stores: [1, 2, 3, 4], regions: full, isOpen }))).toEqual([]);
    const stores = [1, 2, 3, { id: 4, receivingSnapCount: 65 }];
    expect(balanceRegion.propose(viewOf({ stores, regions: full }))).toEqual([]);
  });

  test("region weight 0 takes nothing", () => {
    const stores = [1, 2, 3, { id: 4, regionWeight: 0 }];
    expect(balanceRegion.propose(viewOf({ stores, regions: full.slice(0, 3) }))).toEqual([]);
  });
});

test("of two hot leaders on one store one goes to the store with less flow", () => {
  const regions = [
    ...times(2, { voters: [1, 2, 3], writtenBytes: 10_000_000, writtenKeys: 10_000, writtenQueries: 10_000 }),
    { voters: [2, 1, 3] },
  ];
  const view = viewOf({ stores: [1, 2, 3], regions });
  const hot = new HotRegions();
  for (let at = 0; at < 5; at++) for (const region of view.regions) hot.reportWrites(region, 60_000, at * 60_000);
  const [plan] = balanceHotRegion((flow) => hot.hot(flow, 0)).propose(view);
  expect(inWords(plan)).toMatch(/^transfer-hot-write-leader: transfer leader from store 1 to store [23]$/);
});
