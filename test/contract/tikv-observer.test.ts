import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import type { Workload } from "../../harness/protocol.ts";
import { tikvObserver } from "../../subjects/tikv/observe.ts";
import { RecordedServers, recording } from "../support/recorded-server.ts";

const deps = { clock: systemClock, fetch: globalThis.fetch };
const signal = new AbortController().signal;
const servers: Server[] = [];

const serve = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
/** Accepts and never answers, as a frozen process does. */
const frozen: RequestListener = () => {};
const fine: RequestListener = (_, response) => void response.end();

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A port that refuses. */
const dead = async (): Promise<string> => {
  const url = await serve(fine);
  const server = servers.pop();
  await new Promise<void>((resolve) => server?.close(() => resolve()));
  return url;
};

describe("stores are probed", () => {
  test("a frozen store accepts connections and does not answer; a dead one refuses", async () => {
    const storeStatus = { tikv0: await serve(fine), tikv1: await serve(frozen), tikv2: await dead() };
    const { sources } = await tikvObserver({ storeStatus, probeTimeoutMs: 150 }, deps)(signal);
    expect(Object.keys(sources)).toEqual(["probes"]);
    expect(sources.probes).toMatchObject({
      ok: true,
      value: {
        tikv0: { answers: true, why: null },
        tikv1: { answers: false, why: expect.stringContaining("no answer within 150 ms") as string },
        tikv2: { answers: false, why: expect.stringContaining("ECONNREFUSED") as string },
      },
    });
  });
});

describe("PD, as recorded", () => {
  const observe = async (state: string, times = 1) => {
    await using recorded = await RecordedServers.start(recording(state).answers);
    const look = tikvObserver({ pdMembers: recorded.urls, probeTimeoutMs: 300 }, deps);
    let seen = await look(signal);
    for (let time = 1; time < times; time++) seen = await look(signal);
    return seen.sources;
  };

  test("healthy", async () => {
    const { pd, pdMembers } = await observe("healthy");
    expect(pd).toMatchObject({
      ok: true,
      value: {
        leader: { name: "pd2", votes: 3, of: 3 },
        stores: { ok: true },
        regions: { ok: true, value: { missPeer: 2, downPeer: 0, pendingPeer: 0, offlinePeer: 0 } },
      },
    });
    const stores = pd?.ok === true && pd.value.stores.ok ? pd.value.stores.value : [];
    expect(stores.map((store) => store.component).sort()).toEqual(["tikv0", "tikv1", "tikv2"]);
    expect(pdMembers).toMatchObject({ ok: true, value: { pd0: { answers: true }, pd1: { answers: true } } });
  });

  test("quorum lost: the survivor answers, nobody leads", async () => {
    const { pd, pdMembers } = await observe("pd-quorum-lost-20s");
    expect(pd).toMatchObject({
      ok: true,
      value: { leader: null, stores: { ok: false, why: "PD has no leader" }, regions: { ok: false } },
    });
    expect(pdMembers).toMatchObject({
      ok: true,
      value: {
        pd0: { answers: false },
        pd1: { answers: true, etcd: { ok: true, value: { healthy: false, reason: "RAFT NO LEADER" } } },
        pd2: { answers: false },
      },
    });
  });

  test("nobody there: PD's view is missing, with its reason", async () => {
    const look = tikvObserver(
      { pdMembers: { pd0: await dead(), pd1: await serve(frozen) }, probeTimeoutMs: 150 },
      deps,
    );
    const { sources } = await look(signal);
    expect(sources.pd).toMatchObject({ ok: false, why: "no PD member answers" });
    expect(sources.pdMembers).toMatchObject({ ok: true, value: { pd0: { answers: false }, pd1: { answers: false } } });
  });
});

describe("sources that may be slow", () => {
  test("a hanging Prometheus is a reason, not a wait, and does not hide the probes", async () => {
    const options = { prometheusUrl: await serve(frozen), storeStatus: { tikv0: await serve(fine) } };
    const { sources } = await tikvObserver(options, deps)(signal);
    expect(sources.prometheus).toMatchObject({ ok: false, why: "no answer yet" });
    expect(sources.probes?.ok).toBe(true);
  });

  test("Prometheus' figures go to the components that the instances are", async () => {
    const vector = (series: readonly (readonly [Record<string, string>, string])[]) => ({
      status: "success",
      data: { resultType: "vector", result: series.map(([metric, value]) => ({ metric, value: [1, value] })) },
    });
    const prometheusUrl = await serve((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
      const query = searchParams.get("query") ?? "";
      const tikv1 = { instance: "tikv1:20180" };
      const answer = pathname.endsWith("/targets")
        ? {
            status: "success",
            data: {
              activeTargets: [
                { labels: { ...tikv1, job: "tikv" }, scrapeUrl: "http://tikv1:20180/metrics", health: "down" },
                {
                  labels: { instance: "pd0:2379", job: "pd" },
                  scrapeUrl: "http://pd0:2379/metrics",
                  health: "unknown",
                },
              ],
              droppedTargets: [],
            },
          }
        : query.includes("histogram_quantile")
          ? vector([
              [tikv1, "0.25"],
              [{ instance: "tikv2:20180" }, "NaN"],
            ])
          : query.includes("fail_total")
            ? vector([[{}, "0.02"]])
            : vector([[tikv1, query.includes("available") ? "25" : "100"]]);
      response.end(JSON.stringify(answer));
    });
    const { sources } = await tikvObserver({ prometheusUrl }, deps)(signal);
    expect(sources.prometheus).toMatchObject({
      ok: true,
      value: {
        targets: [{ component: "tikv1", job: "tikv", up: false }],
        p99Ms: { tikv1: 250 },
        errorRatio: 0.02,
        disk: { tikv1: { usedShare: 0.75, availableBytes: 25 } },
      },
    });
  });

  test("no workload, no key; one that fails, its reason", async () => {
    let workload: Pick<Workload, "window"> | null = null;
    const look = tikvObserver({ workload: () => workload }, deps);
    expect((await look(signal)).sources).toEqual({});
    workload = { window: () => Promise.reject(new Error("gone")) };
    expect((await look(signal)).sources.client).toMatchObject({ ok: false, why: "gone" });
  });
});

test("an aborted look ends with the aborter's reason", async () => {
  const look = tikvObserver({ storeStatus: { tikv0: await serve(frozen) } }, deps);
  const stop = new AbortController();
  const looking = look(stop.signal);
  stop.abort(new Error("enough"));
  await expect(looking).rejects.toThrow("enough");
});
