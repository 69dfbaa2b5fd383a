import { describe, expect, test } from "vitest";
import { buildPlan, CannotBuild } from "../../../subjects/tikv/stand-in/pd/schedule/build-plan.ts";
import { makeOperator, operatorText } from "../../../subjects/tikv/stand-in/pd/schedule/operator.ts";
import type { View } from "../../../subjects/tikv/stand-in/pd/schedule/view.ts";
import { mergePlans, movePeer, removePeer } from "../../../subjects/tikv/stand-in/pd/schedule/wishes.ts";
import { inWords, viewOf, type Scene } from "../../support/pd-scene.ts";

const wish = { desc: "move", kinds: ["region"] } as const;
const scene = (more: Partial<Scene> = {}): View =>
  viewOf({ stores: [1, 2, 3, 4], regions: [{ voters: [1, 2, 3] }], ...more });
const first = (view: View) => view.regions[0] ?? expect.fail("no region");
const single = { schedule: { "enable-joint-consensus": "false" } };

describe("a replica's move", () => {
  test("is learner first, then both changes at once in a joint state, then gone", () => {
    const view = scene();
    expect(inWords(movePeer(view, first(view), 2, 4, wish))).toBe(
      "move: add learner peer 1001 on store 4; " +
        "use joint consensus, promote learner peer 1001 on store 4 to voter, demote voter peer 12 on store 2 to learner; " +
        "leave joint state, promote learner peer 1001 on store 4 to voter, demote voter peer 12 on store 2 to learner; " +
        "remove peer on store 2",
    );
  });

  test("hands a leader over before its store is demoted", () => {
    const view = scene();
    expect(inWords(movePeer(view, first(view), 1, 4, wish))).toMatch(
      /add learner peer 1001 on store 4; transfer leader from store 1 to store 2; use joint consensus/,
    );
  });

  test("is one step after the other when joint consensus is off", () => {
    const view = scene(single);
    expect(inWords(movePeer(view, first(view), 2, 4, wish))).toBe(
      "move: add learner peer 1001 on store 4; promote learner peer 1001 on store 4 to voter; remove peer on store 2",
    );
  });

  test("is told as PD lists operators, with its kinds and its time", () => {
    const view = scene();
    const operator = makeOperator(movePeer(view, first(view), 2, 4, wish), 0, 0);
    expect(operatorText(operator)).toMatch(
      /^move \{mv peer: store \[2\] to \[4\]\} \(kind:region, region:1\(5, 5\), createAt:.*, startAt:.*, currentStep:0, size:10, steps:\[0:\{add learner.*\}\], timeout:\[17m0s\]\)$/,
    );
  });

  test("goes nowhere without an id for the peer", () => {
    const view = viewOf({ stores: [1, 2, 3, 4], regions: [{ voters: [1, 2, 3] }] });
    const without = Object.create(view, { options: { value: { ...view.options, newPeerId: () => null } } }) as View;
    expect(() => movePeer(without, first(view), 2, 4, wish)).toThrow(CannotBuild);
  });
});

describe("fewer replicas", () => {
  test("three become two by one plain removal", () => {
    const view = scene();
    expect(inWords(removePeer(view, first(view), 3, wish))).toBe("move: remove peer on store 3");
  });

  test("two never become one in a single step, but when joint consensus is off", () => {
    const regions = [{ voters: [1, 2] }];
    const joint = scene({ regions });
    expect(inWords(removePeer(joint, first(joint), 2, wish))).toMatch(/joint.*demote voter peer 12.*remove peer/);
    const plain = scene({ regions, ...single });
    expect(inWords(removePeer(plain, first(plain), 2, wish))).toBe("move: remove peer on store 2");
  });

  test("the last voter stays", () => {
    const view = scene({ regions: [{ voters: [1] }] });
    expect(() => removePeer(view, first(view), 1, wish)).toThrow(/no voter/);
  });

  test("nobody is left who could lead: no operator", () => {
    const view = scene({ regions: [{ voters: [1, 2, 3], pending: [2, 3] }] });
    expect(() => removePeer(view, first(view), 1, wish)).toThrow(/no valid leader/);
  });
});

test("a store that takes no leaders is not made one, unless it is forced", () => {
  const view = scene({ rejecting: new Set([2]) });
  const to2 = { desc: "lead", kinds: [], leader: 2 } as const;
  expect(() => buildPlan(view, first(view), to2)).toThrow(/target leader is not allowed/);
  expect(inWords(buildPlan(view, first(view), { ...to2, forceLeader: true }))).toBe(
    "lead: transfer leader from store 1 to store 2",
  );
});

test("a region in a joint state gets no other change", () => {
  const view = scene();
  const region = {
    ...first(view),
    peers: first(view).peers.map((peer, at) => (at === 2 ? { ...peer, role: 3 } : peer)),
  };
  expect(() => movePeer(view, region, 2, 4, wish)).toThrow(/in joint state/);
});

test("a merge's source goes to the stores of its target first; the target waits", () => {
  const view = viewOf({ stores: [1, 2, 3, 4], regions: [{ voters: [1, 2, 3] }, { voters: [2, 3, 4] }] });
  const [source, target] = view.regions;
  const [a, b] = mergePlans(view, source ?? expect.fail(), target ?? expect.fail(), "merge-region", ["merge"]);
  expect(inWords(a)).toMatch(
    /^merge-region: add learner peer 1001 on store 4; .*remove peer on store 1; merge region 1 into/,
  );
  expect(inWords(b)).toBe("merge-region: merge region 1 into region 2");
});
