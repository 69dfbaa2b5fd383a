import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { startPdCluster, type PdCluster } from "../support/pd-cluster.ts";
import { ScriptedStores } from "../support/scripted-stores.ts";

interface Step {
  readonly method: string;
  readonly path: string;
  readonly request?: unknown;
  readonly status?: number;
  readonly contentType?: string | null;
  readonly body?: string;
}

const { steps } = JSON.parse(
  readFileSync(new URL("../../subjects/tikv/check/recordings/pd-8.5.7/mutations.json", import.meta.url), "utf8"),
) as {
  readonly steps: readonly Step[];
};

/** Steps that are not compared, by what they ask, and why. */
const NOT_COMPARED: readonly (readonly [RegExp, string])[] = [
  [/^POST \/pd\/api\/v1\/regions\/split/, "the real one gave no answer within its client's time"],
  [/^GET .*\/operators(\/|\?|$)/, "what is under way at that instant is a matter of timing"],
  [/offline-peer$/, "the real one looks again with the region's next heartbeat, up to 60 s later; ours at once"],
  [/^DELETE .*\/operators\/16/, "whether it is still pending is a matter of timing"],
  [
    /^GET .*\/(stores|store\/\d+|regions|region\/.*|config\/schedule|members|leader)$/,
    "values; shapes are compared with the GETs",
  ],
];

let pd: PdCluster;
let stores: ScriptedStores;
let leader: string;
let regionId: string;

beforeAll(async () => {
  const signal = AbortSignal.timeout(40_000);
  pd = await startPdCluster({ members: 3, timeFactor: 0.2 });
  leader = await pd.leader(signal);
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
  regionId = [...stores.regions.keys()][0] as string;
});

afterAll(async () => {
  await stores[Symbol.asyncDispose]();
  await pd[Symbol.asyncDispose]();
});

/** Our ids for those of the recording: stores 1, 2, 3 and region 16. */
function ours(text: string): string {
  const store = (id: string) => stores.storeIds[Number(id) - 1] ?? id;
  return text
    .replace(/(\/store\/)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/(progress\?id=)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/(scheduler-)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/("(?:to_)?store_id": ?)([123])\b/g, (_, head: string, id: string) => head + store(id))
    .replace(/("region_id": ?)16\b/g, (_, head: string) => head + regionId)
    .replace(/(\/operators\/)16\b/g, (_, head: string) => head + regionId);
}

/** Numbers, times and the order of scheduler names (a Go map's) differ; words must not. */
function words(body: string | undefined): string {
  return (body ?? "")
    .replace(/^\[\n {2}"[\s\S]*\]\n$/, (list) => JSON.stringify((JSON.parse(list) as string[]).sort()))
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/"?\d+(\.\d+)?"?/g, "N");
}

test.each(steps.map((step, at) => [at, `${step.method} ${step.path}`, step] as const))(
  "step %i: %s",
  async (_, name, step) => {
    const request = step.request ?? undefined;
    const text = typeof request === "string" ? request : JSON.stringify(request);
    const reply = await pd.send(leader, step.method, ours(step.path), text === undefined ? undefined : ours(text));
    leader = await pd.leader(AbortSignal.timeout(10_000));
    if (step.status === undefined || NOT_COMPARED.some(([pattern]) => pattern.test(name))) return;
    expect({ status: reply.status, body: words(reply.body) }).toEqual({ status: step.status, body: words(step.body) });
  },
);
