import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { startPdCluster, type PdCluster } from "../support/pd-cluster.ts";
import { ScriptedStores } from "../support/scripted-stores.ts";

interface Answer {
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string;
}

const recorded = JSON.parse(
  readFileSync(new URL("../../subjects/tikv/check/recordings/pd-8.5.7/healthy.json", import.meta.url), "utf8"),
) as {
  readonly answers: Readonly<Record<string, Readonly<Record<string, Answer>>>>;
};

/** Where ours differ on purpose, and why. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  ".stores[].store.status_address": "the recorded stores of 2021 sent none",
  ".stores[].store.start_timestamp": "the recorded stores of 2021 sent none",
  ".store.status_address": "the recorded stores of 2021 sent none",
  ".store.start_timestamp": "the recorded stores of 2021 sent none",
};

/** Regions and stores have other ids here; ask for the same kind of thing. */
const sameQuestion = (path: string, firstStore: string, firstRegion: string): string =>
  path
    .replace(/\/store\/1$/, `/store/${firstStore}`)
    // In the recording region 2 is unknown, in ours it may well exist.
    .replace(/\/region\/id\/2$/, `/region/id/${Number(firstRegion) + 50_000}`);

let pd: PdCluster;
let stores: ScriptedStores;
let leader: string;
let follower: string;

beforeAll(async () => {
  const signal = AbortSignal.timeout(40_000);
  pd = await startPdCluster({ members: 3, timeFactor: 0.2 });
  leader = await pd.leader(signal);
  follower = pd.names.find((name) => name !== leader) as string;
  stores = new ScriptedStores({ host: "127.0.0.1", port: Number(new URL(pd.urls[leader] as string).port) }, signal);
  await stores.join(3);
  await waitFor(
    async () => (await pd.get(leader, "/pd/api/v1/regions/check/miss-peer")).body.startsWith('{"count":0'),
    {
      clock: systemClock,
      timeoutMs: 20_000,
      everyMs: 50,
      what: "three replicas everywhere",
      signal,
    },
  );
});

afterAll(async () => {
  await stores[Symbol.asyncDispose]();
  await pd[Symbol.asyncDispose]();
});

describe.each([
  ["the leader", "pd2", () => leader],
  ["a follower", "pd0", () => follower],
] as const)("%s answers as recorded", (_, member, asked) => {
  test.each(Object.entries(recorded.answers[member] ?? {}))("GET %s", async (path, wanted) => {
    const question = sameQuestion(path, stores.storeIds[0] as string, [...stores.regions.keys()][0] as string);
    const { status, type, body } = await pd.get(asked(), question);
    expect({ status, type }).toEqual({ status: wanted.status, type: wanted.contentType });
    const [ours, theirs] = [parsed(body), parsed(wanted.body)];
    if (theirs === undefined) return expect(body).toBe(wanted.body);
    // An empty list looks the same either way.
    if (body !== "[]\n") expect(layout(body)).toBe(layout(wanted.body));
    const [own, real] = [shape(ours), shape(theirs)];
    const extra = [...own].filter(([key]) => !real.has(key) && !isUnder(real, key) && !(key in DIFFERENCES));
    const missing = [...real].filter(([key]) => !own.has(key) && !isUnder(own, key));
    const otherType = [...real].filter(
      ([key, kind]) => kind !== "empty" && ![undefined, "empty", kind].includes(own.get(key)),
    );
    expect({ extra, missing, otherType }).toEqual({ extra: [], missing: [], otherType: [] });
    if (wanted.status >= 400) expect(body.replaceAll(/\d+/g, "N")).toBe(wanted.body.replaceAll(/\d+/g, "N"));
  });
});

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** How the text is laid out: indented or not, with a newline at its end or not. */
function layout(body: string): string {
  return `${/^[[{]\n {2}/.test(body) ? "indented" : "plain"}, ${body.endsWith("\n") ? "newline" : "no newline"}`;
}

/** Path of every leaf -> its type. Ids as keys and indexes are folded. */
function shape(value: unknown, path = "", found = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value)) {
    if (value.length === 0) found.set(`${path}[]`, "empty");
    for (const item of value) shape(item, `${path}[]`, found);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) shape(inner, `${path}.${/^\d+$/.test(key) ? "#" : key}`, found);
  } else found.set(path, value === null ? "null" : typeof value);
  return found;
}

/** A list that is empty on one side says nothing about its items. */
function isUnder(other: ReadonlyMap<string, string>, key: string): boolean {
  return (
    [...other].some(([path, kind]) => kind === "empty" && (key.startsWith(path) || key === path)) || key.endsWith("[]")
  );
}
