import { availableParallelism, loadavg } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { readTimeline, type TimelineEvent } from "../../subjects/tikv/check/recording.ts";
import { ask } from "../support/ask.ts";
import { startEmbedded, type TestCluster } from "../support/embedded-cluster.ts";
import { runTimeline } from "../support/timeline-run.ts";
import { castOf, sightsOf, type Seen, type Sights } from "../support/timeline-shape.ts";

const TIMELINES = [
  "store-kill",
  "store-pause",
  "store-quorum-lost",
  "pd-leader-kill",
  "pd-leader-pause",
  "pd-leader-isolated",
  "pd-quorum-lost",
] as const;
type Name = (typeof TIMELINES)[number];

interface Fleeting {
  readonly timeline: RegExp;
  /** Role and path, as `old etcdHealth`. */
  readonly where: RegExp;
  readonly what: RegExp;
  readonly why: string;
}

/** The survivor's 503 comes at 64 s, give or take 30 %; what ends it was done 6 s later, and a poll may hang for 5. */
const LATER_MS: Partial<Readonly<Record<Name, number>>> = { "pd-quorum-lost": 15_000 };

/** What one run shows and the next may not; left out on both sides before their order is compared. */
const FLEETING: readonly Fleeting[] = [
  {
    timeline: /^pd-(leader-kill|quorum-lost)$/,
    where: / (leader|stores)$/,
    what: /^no answer$/,
    why: "one look-up of a dead leader in some 27 takes 5 s; which one is chance",
  },
  {
    timeline: /^pd-leader-(pause|isolated)$/,
    where: /^(next|other) health$/,
    what: /^no answer$/,
    why: "members are asked one after the other, 3 s each; whether two of them add up to the poll's 5 s is chance",
  },
  {
    timeline: /^pd-/,
    where: / etcdHealth$/,
    what: /leader changed/,
    why: "lasts less than a poll; the recorded kill does not show it. That it is seen is a test of its own",
  },
  {
    timeline: /^pd-leader-/,
    where: /^(next|other) etcdHealth$/,
    what: /^no answer$/,
    why: "an election takes 3 to 6 s, a poll waits 5: a late one is a time-out first",
  },
  {
    timeline: /^pd-leader-/,
    where: /^(next|other) etcdHealth$/,
    what: /RAFT NO LEADER/,
    why: "from standing for election to the new leader's first word: milliseconds, or longer where votes are split",
  },
  {
    timeline: /^pd-leader-pause$/,
    where: /^(next|other) (leader|stores)$/,
    what: /ErrRedirectNoLeader/,
    why: "only a question put in the second between two leaders is answered so",
  },
  {
    timeline: /^pd-/,
    where: / stores$/,
    what: /^some Disconnected$/,
    why: "the flash lasts 0.5 to 3 s, and a poll that hangs misses it. That it is seen is a test of its own",
  },
  {
    timeline: /^pd-/,
    where: /./,
    what: /^500 (PANIC|.*ErrServerNotStarted|.*ErrRedirectToNotLeader)/,
    why: "a member that starts says so for half a second. That it is seen is a test of its own",
  },
  {
    timeline: /^pd-quorum-lost$/,
    where: /^(old|other) /,
    what: /^no answer$|RAFT NO LEADER|ErrRedirectNoLeader|sick/,
    why: "members that are started again take connections before they have found each other; how long is chance",
  },
  {
    timeline: /^pd-quorum-lost$/,
    where: /^next health$/,
    what: /^sick: (old|other)$|^no answer$/,
    why: "the two that are killed and started are so one after the other",
  },
];

/** Where what is seen differs on purpose: theirs, ours. Fails when it no longer occurs. */
const TRANSLATED: readonly { timeline: RegExp; where: RegExp; theirs: string; ours: string; why: string }[] = [
  {
    timeline: /^pd-leader-isolated$/,
    where: /^old /,
    theirs: "refused",
    ours: "no answer",
    why: "from the host Docker refuses for a container off its network; the link layer stays silent, as peers see it",
  },
];

interface Quantity {
  readonly timeline: Name;
  readonly what: string;
  of(sights: Sights, deeds: readonly number[]): number | null;
  /** From, to, in ms; without it: 30 % around the recorded value. */
  readonly range?: readonly [number, number];
  /** Why a range is right. */
  readonly why?: string;
}

const first = (sights: Sights, where: string, what: RegExp, afterMs = 0): number | null =>
  sights[where]?.find((seen) => seen.atMs >= afterMs && what.test(seen.what))?.atMs ?? null;
const since = (at: number | null, from: number | undefined): number | null => (at === null ? null : at - (from ?? 0));
const earliest = (...all: (number | null)[]): number | null =>
  all.filter((at) => at !== null).sort((a, b) => a - b)[0] ?? null;
/** The first sight from any of the survivors. */
const anyOf = (sights: Sights, what: string, pattern: RegExp, afterMs = 0): number | null =>
  earliest(first(sights, `next ${what}`, pattern, afterMs), first(sights, `other ${what}`, pattern, afterMs));

const HEARTBEATS = "stores report every 10 s, each in a phase of its own: Disconnected comes 10 to 20 s after the last";
const ELECTION =
  "a follower waits 3 to 6 s, drawn anew each time, counted in ticks of 0.5 s from the last heartbeat (etcd's raft)";

const QUANTITIES: readonly Quantity[] = [
  // The victim is chosen as long after its heartbeat as the recorded one, so 30 % means something.
  { timeline: "store-kill", what: "Disconnected", of: (s) => first(s, "old stores", /Disc/) },
  {
    timeline: "store-kill",
    what: "Up after start",
    of: (s, [, start]) => since(first(s, "old stores", /all Up/, 1), start),
  },
  { timeline: "store-pause", what: "Disconnected", of: (s) => first(s, "old stores", /Disc/) },
  {
    timeline: "store-pause",
    what: "Up after unpause",
    of: (s, [, unpause]) => since(first(s, "old stores", /all Up/, 1), unpause),
    range: [0, 10_600],
    why: "the recorded store of 2021 went on counting where it had been stopped; a timer of TiKV's that is overdue fires",
  },
  {
    timeline: "store-quorum-lost",
    what: "first Disconnected",
    of: (s) => first(s, "old stores", /Disc/),
    range: [9_900, 20_700],
    why: HEARTBEATS,
  },
  {
    timeline: "store-quorum-lost",
    what: "all Up after start",
    of: (s, [, start]) => since(first(s, "old stores", /all Up/, 1), start),
  },
  {
    timeline: "pd-leader-kill",
    what: "500 ErrRedirect",
    of: (s) => anyOf(s, "leader", /ErrRedirect\]/),
    range: [0, 700],
    why: "at the next poll, which comes within half a second",
  },
  { timeline: "pd-leader-kill", what: "a new leader", of: (s) => anyOf(s, "leader", /leader next/) },
  {
    timeline: "pd-leader-kill",
    what: "the old one answers after start",
    of: (s, [, start]) => since(first(s, "old leader", /leader next/), start),
    range: [400, 6_000],
    why: "how fast a process starts is the machine's, and here 42 nodes share one",
  },
  { timeline: "pd-leader-pause", what: "first silence", of: (s) => first(s, "next leader", /no answer/) },
  {
    timeline: "pd-leader-pause",
    what: "etcd's leader changed",
    of: (s) => anyOf(s, "etcdHealth", /leader changed/),
    range: [2_400, 6_700],
    why: ELECTION,
  },
  {
    timeline: "pd-leader-pause",
    what: "a new leader",
    of: (s) => anyOf(s, "leader", /leader next/),
    range: [8_500, 20_000],
    why: `${ELECTION}, then the lease of 5 s and 3 s of grace; a poll that hangs on the old leader sees it up to 5 s late`,
  },
  {
    timeline: "pd-leader-pause",
    what: "stale answers of the old leader after unpause",
    of: (s, [, unpause]) => since(first(s, "old leader", /leader next/), unpause),
    range: [0, 1_600],
    why: "recorded: up to 1.06 s, seen at the next poll, which comes within half a second",
  },
  { timeline: "pd-leader-isolated", what: "first silence", of: (s) => first(s, "next leader", /no answer/) },
  {
    timeline: "pd-leader-isolated",
    what: "500 ErrRedirect after it",
    of: (s) => first(s, "next leader", /ErrRedirect\]/),
  },
  {
    timeline: "pd-leader-isolated",
    what: "etcd's leader changed",
    of: (s) => anyOf(s, "etcdHealth", /leader changed/),
    range: [2_400, 6_700],
    why: ELECTION,
  },
  { timeline: "pd-leader-isolated", what: "a new leader", of: (s) => anyOf(s, "leader", /leader next/) },
  {
    timeline: "pd-leader-isolated",
    what: "rejoin after the network is back",
    of: (s, [, back]) => since(first(s, "old etcdHealth", /healthy/, 1), back),
  },
  {
    timeline: "pd-leader-isolated",
    what: "503 ErrRedirectNoLeader after the network is back",
    of: (s, [, back]) => since(first(s, "old leader", /NoLeader/), back),
    range: [2_400, 8_600],
    why: "3 s of waiting for a leader, from the first question that gets through: polls wait up to 5 s for it",
  },
  { timeline: "pd-quorum-lost", what: "503 ErrRedirectNoLeader", of: (s) => first(s, "next leader", /NoLeader/) },
  { timeline: "pd-quorum-lost", what: "etcd: RAFT NO LEADER", of: (s) => first(s, "next etcdHealth", /NO LEADER/) },
  {
    timeline: "pd-quorum-lost",
    what: "a leader after start",
    of: (s, [, start]) =>
      since(earliest(first(s, "next leader", /^leader/, 70_000), first(s, "other leader", /^leader/, 70_000)), start),
    range: [500, 8_000],
    why: "processes start, then whoever is first to run out of its drawn 0.5 to 3.5 s stands for election",
  },
];

interface Run {
  readonly theirs: Sights;
  readonly ours: Sights;
  readonly theirDeeds: readonly number[];
  readonly ourDeeds: readonly number[];
}

/** What lasts less than a poll: whether a playing catches it is chance, that some of them do is not. */
interface Flash {
  readonly what: string;
  readonly timelines: readonly Name[];
  /** Of those timelines. */
  readonly atLeast: number;
  isIn(run: Run): boolean;
}

const isSeen = ({ ours }: Run, what: RegExp, where = /./): boolean =>
  Object.entries(ours).some(([place, seen]) => where.test(place) && seen.some((one) => what.test(one.what)));

const FLASHES: readonly Flash[] = [
  {
    what: "a new PD leader calls stores Disconnected until they report",
    timelines: ["pd-leader-kill", "pd-leader-isolated", "pd-quorum-lost"],
    // A poll that hangs on a look-up can miss one of them.
    atLeast: 2,
    isIn: (run) => isSeen(run, /some Disconnected/),
  },
  {
    what: "an unpaused old leader answers as the leader that it no longer is, with stores Disconnected",
    timelines: ["pd-leader-pause"],
    atLeast: 1,
    isIn: ({ ours, ourDeeds: [, unpaused = 0] }) =>
      first(ours, "old leader", /leader old/, unpaused) !== null &&
      first(ours, "old stores", /some Disconnected/, unpaused) !== null,
  },
  {
    what: "etcd says 503 once when its leader changes",
    timelines: ["pd-leader-kill", "pd-leader-pause", "pd-leader-isolated"],
    atLeast: 3,
    isIn: (run) => isSeen(run, /leader changed/, /etcdHealth/),
  },
  {
    what: "a member that starts says that it has not started",
    timelines: ["pd-leader-kill", "pd-quorum-lost"],
    atLeast: 1,
    isIn: (run) => isSeen(run, /ErrServerNotStarted|PANIC/),
  },
];

/** The timelines of which some playing has caught it. */
const seenIn = ({ timelines, isIn }: Flash): readonly Name[] =>
  timelines.filter((name) => runs.get(name)?.some(isIn) === true);

const isMissed = (name: Name): boolean =>
  FLASHES.some((flash) => {
    const seen = seenIn(flash);
    return seen.length < flash.atLeast && flash.timelines.includes(name) && !seen.includes(name);
  });

/** Above this the machine, not PD, decides when something is seen. */
const TOO_BUSY = 4;
const load = (loadavg()[0] ?? 0) / availableParallelism();
const busy =
  load > TOO_BUSY ? `the machine is too busy to time anything: ${load.toFixed(1)} runnable per processor` : null;

/** Every playing of each. */
const runs = new Map<Name, Run[]>(TIMELINES.map((name) => [name, []]));
const clusters: TestCluster[] = [];

beforeAll(async () => {
  if (busy !== null) return;
  const signal = AbortSignal.timeout(600_000);
  // Two at a time, and all of them still before anything is timed.
  for (let at = 0; at < TIMELINES.length; at += 2)
    clusters.push(
      ...(await Promise.all(TIMELINES.slice(at, at + 2).map(() => startEmbedded({ timeFactor: 1 }, signal)))),
    );
  await Promise.all(clusters.map((cluster) => heartbeatsAreOld(cluster, signal)));
  await Promise.all(
    TIMELINES.map(async (name, at) => runs.get(name)?.push(await play(name, clusters[at] as TestCluster, signal))),
  );
  await Promise.all(clusters.splice(0).map((cluster) => cluster[Symbol.asyncDispose]()));
  await playAgain(signal);
}, 630_000);

/** How often what differs, or was not seen, is played again. */
const MORE = 2;

/** A recording is one run of chances: what differs is played again, two at a time, before it counts. */
async function playAgain(signal: AbortSignal): Promise<void> {
  for (let more = 1; more <= MORE; more++) {
    const differ = TIMELINES.filter((each) => !isAsRecorded(each, runOf(each)) || isMissed(each));
    for (let at = 0; at < differ.length; at += 2)
      await Promise.all(
        differ.slice(at, at + 2).map(async (name) => {
          process.stdout.write(`${name}: played again (${more} of at most ${MORE})\n`);
          await using cluster = await startEmbedded({ timeFactor: 1 }, signal);
          await heartbeatsAreOld(cluster, signal);
          runs.get(name)?.push(await play(name, cluster, signal));
        }),
      );
  }
}

beforeEach(({ skip }) => skip(busy !== null, busy ?? ""));

afterAll(() => Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]())));

async function play(name: Name, cluster: TestCluster, signal: AbortSignal): Promise<Run> {
  const { events } = readTimeline(name);
  const members = Object.keys(cluster.pd);
  const theirCast = castOf(events, ["pd0", "pd1", "pd2"]);
  const [leader = ""] = await cluster.instance.candidates("pd-leader", signal);
  const [one = "", two = ""] = members.filter((member) => member !== leader);
  const ourName = (recorded: string) =>
    recorded === theirCast.old
      ? leader
      : recorded === theirCast.next
        ? one
        : recorded === theirCast.other
          ? two
          : recorded;
  const victim = /docker (?:kill|pause) (tikv\d)$/.exec(events.find(({ did }) => did !== undefined)?.did ?? "")?.[1];
  const recordedAge =
    20_000 - (events.find(({ value }) => JSON.stringify(value)?.includes("Disconnected"))?.sinceFaultMs ?? 0);
  const align = victim === undefined ? undefined : () => heartbeatAge(cluster, victim, recordedAge + 250, signal);
  const seen = await runTimeline(readTimeline(name), cluster, ourName, signal, { align, laterMs: LATER_MS[name] });
  return {
    theirs: sightsOf(events, theirCast),
    ours: sightsOf(seen, castOf(seen, members)),
    theirDeeds: deedsOf(events),
    ourDeeds: deedsOf(seen),
  };
}

const deedsOf = (events: readonly TimelineEvent[]): number[] =>
  events.flatMap(({ did, sinceFaultMs }) => (did === undefined ? [] : [sinceFaultMs ?? 0]));

interface StoreSeen {
  readonly store: { readonly address: string; readonly last_heartbeat: number; readonly start_timestamp: number };
}

async function storesOf(cluster: TestCluster): Promise<readonly StoreSeen[]> {
  const { body } = await ask(Object.values(cluster.pd)[0] ?? "", "/pd/api/v1/stores");
  return (JSON.parse(body) as { stores: StoreSeen[] }).stores;
}

/** A new leader starts from heartbeats that were persisted when the stores joined: the flash needs them to be old. */
const heartbeatsAreOld = (cluster: TestCluster, signal: AbortSignal): Promise<unknown> =>
  waitFor(async () => (await storesOf(cluster)).every(({ store }) => Date.now() / 1_000 - store.start_timestamp > 15), {
    clock: systemClock,
    timeoutMs: 60_000,
    everyMs: 500,
    what: "stores to have been there for a while",
    signal,
  });

/** Waits until the store's last heartbeat is that old, to the poll. */
async function heartbeatAge(cluster: TestCluster, name: string, ageMs: number, signal: AbortSignal): Promise<void> {
  const address = cluster.instance.endpoints("host").byComponent[name]?.["client"];
  const age = async () => {
    const store = (await storesOf(cluster)).find((each) => each.store.address === address);
    return Date.now() - (store?.store.last_heartbeat ?? 0) / 1e6;
  };
  const options = { clock: systemClock, timeoutMs: 30_000, everyMs: 20, what: "a heartbeat", signal };
  await waitFor(async () => Math.abs((await age()) - ageMs) < 100, options);
}

/** The playing that counts: one that is as recorded, or else the last. */
function runOf(name: Name): Run {
  const all = runs.get(name) ?? [];
  return (all.find((run) => isAsRecorded(name, run)) ?? all.at(-1)) as Run;
}

/** The order alone, without what is fleeting. */
function order(name: Name, where: string, seen: readonly Seen[], isOurs: boolean): string[] {
  const kept: string[] = [];
  for (const { what: raw } of seen) {
    const what = isOurs ? translated(name, where, raw) : raw;
    const isFleeting = FLEETING.some(
      (rule) => rule.timeline.test(name) && rule.where.test(where) && rule.what.test(what),
    );
    if (!isFleeting && kept.at(-1) !== what) kept.push(what);
  }
  return kept;
}

const translatedOnes = new Set<string>();

function translated(name: Name, where: string, what: string): string {
  const entry = TRANSLATED.find((each) => each.timeline.test(name) && each.where.test(where) && each.ours === what);
  if (entry === undefined) return what;
  translatedOnes.add(entry.why);
  return entry.theirs;
}

const orders = (name: Name, sights: Sights, isOurs: boolean) =>
  Object.fromEntries(
    Object.entries(sights)
      .sort()
      .map(([where, seen]) => [where, order(name, where, seen, isOurs)]),
  );

function timed({ of, range }: Quantity, { theirs, ours, theirDeeds, ourDeeds }: Run) {
  const [recorded, measured] = [of(theirs, theirDeeds), of(ours, ourDeeds)];
  const [from, to] = range ?? [(recorded ?? 0) * 0.7, (recorded ?? 0) * 1.3];
  return { recorded, measured, from, to };
}

function isAsRecorded(name: Name, run: Run): boolean {
  const { theirs, ours } = run;
  const inTime = QUANTITIES.filter(({ timeline }) => timeline === name)
    .map((quantity) => timed(quantity, run))
    .every(({ measured, from, to }) => measured !== null && measured >= from && measured <= to);
  return inTime && isDeepStrictEqual(orders(name, ours, true), orders(name, theirs, false));
}

describe("what is seen from each member, in order", () => {
  test.each(TIMELINES)("%s", (name) => {
    const { theirs, ours } = runOf(name);
    expect(orders(name, ours, true)).toEqual(orders(name, theirs, false));
  });

  test("differences that are listed still occur", () => {
    expect([...translatedOnes]).toEqual(TRANSLATED.map(({ why }) => why));
  });
});

describe("when it is seen", () => {
  test.each(QUANTITIES.map((quantity) => [quantity.timeline, quantity.what, quantity] as const))(
    "%s: %s",
    (_, __, quantity) => {
      const { recorded, measured, from, to } = timed(quantity, runOf(quantity.timeline));
      expect(measured).not.toBeNull();
      if (recorded !== null) expect(recorded).toBeGreaterThanOrEqual(from);
      expect(measured).toBeGreaterThanOrEqual(from);
      expect(measured).toBeLessThanOrEqual(to);
    },
  );
});

describe("what lasts less than a poll is seen somewhere", () => {
  test.each(FLASHES.map((flash) => [flash.what, flash] as const))("%s", (_, flash) => {
    expect(seenIn(flash).length, `seen in: ${seenIn(flash).join(", ")}`).toBeGreaterThanOrEqual(flash.atLeast);
  });
});
