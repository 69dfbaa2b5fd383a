import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { Component } from "../../harness/protocol.ts";
import { compareAnswers } from "../../subjects/tikv/check/compare.ts";
import { readMutations, type Step } from "../../subjects/tikv/check/recording.ts";
import { ask } from "../support/ask.ts";
import { startEmbedded, type TestCluster } from "../support/embedded-cluster.ts";
import { Differences, type Listed } from "../support/listed-differences.ts";

/** Where ours differ on purpose. An entry that no longer occurs fails the suite. */
const LISTED: readonly Listed[] = [];

/** The recorder's client gave up on this one: there is no answer to compare with. */
const UNANSWERED = 122;
/** First and last of steps that were asked before the region's store could act: it is suspended meanwhile. */
const AT_ONCE = [
  { first: 2, last: 5 },
  { first: 16, last: 17 },
];

const steps = readMutations();
const differences = new Differences(LISTED);
let cluster: TestCluster;
let leader: string;
let suspended: Component | null = null;
/** Recorded names -> ours: members, stores 1 to 3, region 16. */
const ours = { members: {} as Record<string, string>, stores: [] as string[], region: "" };

beforeAll(async () => {
  cluster = await startEmbedded({ timeFactor: 1 }, AbortSignal.timeout(150_000));
  leader = await leaderNow();
  const [second = "", third = ""] = Object.keys(cluster.pd).filter((name) => name !== leader);
  // Recorded through one member; here through one that does not lead, so that every step is passed on.
  ours.members = { pd2: leader, pd1: second, pd0: third };
  const { stores } = await get<{ stores: { store: { id: number } }[] }>("/pd/api/v1/stores");
  ours.stores = stores.map(({ store }) => String(store.id)).sort((a, b) => Number(a) - Number(b));
  let quiet = 0;
  // What is still being balanced would move on its own.
  await waitFor(async () => (quiet = (await operators()) === "[]" ? quiet + 1 : 0) > 30, waiting("balance"));
  ours.region = await regionLedBy(ours.stores[1] ?? "");
}, 180_000);

afterAll(async () => {
  process.stdout.write(`pd-mutations: ${differences.summary}\n`);
  await cluster[Symbol.asyncDispose]();
});

test.each(steps.map((step, at) => [at, `${step.method} ${step.path}`, step] as const))(
  "step %i: %s",
  async (at, name, step) => {
    await before(at);
    const { path, method, body } = requestOf(step);
    const reply = await ask(url("pd0"), path, { method, ...(body === undefined ? {} : { body }) });
    await after(at);
    if (at === UNANSWERED) return;
    const wanted = { status: step.status ?? 0, contentType: step.contentType ?? null, body: step.body ?? "", ms: 0 };
    expect(differences.take(`${at} ${name}`, compareAnswers(wanted, reply))).toEqual([]);
  },
);

test("every listed difference still occurs, and fewer than 5 % of the answers and of their keys differ", () => {
  expect(differences.gone).toEqual([]);
  expect(differences.answers).toBe(steps.length - 1);
  expect(differences.differingAnswers / differences.answers).toBeLessThan(0.05);
  expect(differences.differing / differences.leaves).toBeLessThan(0.05);
});

/** What the recorder waited for. */
async function before(at: number): Promise<void> {
  if (AT_ONCE.some(({ first }) => first === at)) {
    suspended = await leadingStore();
    await cluster.instance.engine.pause(suspended, AbortSignal.timeout(10_000));
  }
  if (at === 6)
    await waitFor(async () => !(await operators()).includes("admin-transfer-leader"), waiting("the transfer"));
  if (at === 115 || at === 117) {
    await waitFor(async () => (await leaderNow()) !== leader, waiting("another leader"));
    leader = await leaderNow();
  }
}

async function after(at: number): Promise<void> {
  if (suspended === null || !AT_ONCE.some(({ last }) => last === at)) return;
  await cluster.instance.engine.unpause(suspended, AbortSignal.timeout(10_000));
  suspended = null;
}

/** The component whose store leads the region. */
async function leadingStore(): Promise<Component> {
  const { leader: peer } = await get<{ leader: { store_id: number } }>(`/pd/api/v1/region/id/${ours.region}`);
  const { store } = await get<{ store: { address: string } }>(`/pd/api/v1/store/${peer.store_id}`);
  const { byComponent } = cluster.instance.endpoints("host");
  return Object.keys(byComponent).find((name) => byComponent[name]?.["client"] === store.address) as Component;
}

const requestOf = ({ method, path, request }: Step) => {
  const text = typeof request === "string" ? request : JSON.stringify(request);
  return { method, path: inOurIds(path), ...(request == null ? {} : { body: inOurIds(text) }) };
};

function inOurIds(text: string): string {
  const store = (id: string) => ours.stores[Number(id) - 1] ?? id;
  return text
    .replace(/(\/store\/)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/(progress\?id=)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/(scheduler-)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/("(?:to_)?store_id": ?)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/("region_id": ?|"regions_id": ?\[)16\b/g, (_, head: string) => head + ours.region)
    .replace(/(\/(?:operators|region\/id)\/)16\b/g, (_, head: string) => head + ours.region)
    .replace(/\/pd([012])\b/g, (_, n: string) => `/${ours.members[`pd${n}`]}`);
}

const url = (recorded: string): string => cluster.pd[ours.members[recorded] ?? recorded] ?? "";

async function get<T>(path: string): Promise<T> {
  const { body } = await ask(cluster.pd[leader] ?? "", path);
  return JSON.parse(body) as T;
}

const operators = async (): Promise<string> => JSON.stringify(await get("/pd/api/v1/operators"));

async function regionLedBy(store: string): Promise<string> {
  const { regions } = await get<{ regions: { id: number; leader: { store_id: number }; peers: unknown[] }[] }>(
    "/pd/api/v1/regions",
  );
  return String(regions.find((region) => String(region.leader.store_id) === store && region.peers.length === 3)?.id);
}

async function leaderNow(): Promise<string> {
  return waitFor(async () => {
    const said = await Promise.all(Object.values(cluster.pd).map((each) => ask(each, "/pd/api/v1/leader")));
    const names = said.map(({ status, body }) =>
      status === 200 ? (JSON.parse(body) as { name: string } | null)?.name : null,
    );
    return names[0] != null && names.every((name) => name === names[0]) ? names[0] : null;
  }, waiting("members to agree on a leader"));
}

const waiting = (what: string) => ({
  clock: systemClock,
  timeoutMs: 20_000,
  everyMs: 50,
  what,
  signal: AbortSignal.timeout(30_000),
});
