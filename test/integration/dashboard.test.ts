import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { Component } from "../../harness/protocol.ts";
import { nodeFolder } from "../../subjects/tikv/embedded.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";
import { pdClient, type PdClient } from "../../subjects/tikv/kit/clients/pd.ts";
import { prometheusClient, type PrometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { askAll, seriesOf, shippedDashboard, summary, untilSeen } from "../support/dashboard.ts";
import { startEmbedded } from "../support/embedded-cluster.ts";
import { describePrometheus, startPrometheus } from "../support/real-prometheus.ts";

/** Panels that show something only when something is wrong, or has just been put right, and why. */
const EMPTY_WHEN_WELL: Readonly<Record<string, string>> = {
  Alerts: "nothing fires",
  "Refusals by cause": "nothing is refused",
  "Raft link failures": "every store reaches every other",
  Operators: "nothing needs to be moved",
};

const SIDES = ["embedded", "real"] as const;
type Side = (typeof SIDES)[number];

const dashboard = shippedDashboard();
const signal = new AbortController().signal;
const patience = { clock: systemClock, timeoutMs: 100_000, signal };
const load = { seed: 1, ratePerSecond: 60, clients: 8, keyPrefix: "k", deadlineMs: 2_000 };

describePrometheus("the dashboard's queries, on one cluster under load", () => {
  const scope = new AsyncDisposableStack();
  let instance: EmbeddedInstance;
  let sides: Readonly<Record<Side, PrometheusClient>>;
  let pd: PdClient;

  beforeAll(async () => {
    const cluster = scope.use(await startEmbedded({ timeFactor: 0.2 }, signal));
    instance = cluster.instance;
    pd = pdClient({ members: cluster.pd }, cluster.deps);
    // The same targets, intervals and rules.
    const folder = join(cluster.folder, "real");
    mkdirSync(folder);
    for (const file of ["prometheus.yml", "tikv.rules.yml"])
      cpSync(join(nodeFolder(cluster.stateDir, "prometheus"), file), join(folder, file));
    const real = scope.use(await startPrometheus(folder));
    await instance.startWorkload(load, signal);
    sides = {
      embedded: prometheusClient({ url: instance.endpoints("host").prometheusUrl ?? "" }, cluster.deps),
      real: prometheusClient({ url: real.url }, cluster.deps),
    };
    const scrapes = (client: PrometheusClient) =>
      client.targets(signal).then(
        ({ length }) => length > 0,
        () => false,
      );
    for (const client of Object.values(sides))
      await waitFor(() => scrapes(client), { ...patience, everyMs: 200, what: "targets" });
  }, 120_000);
  afterAll(async () => await scope.disposeAsync());

  const ask = (side: Side) =>
    askAll(dashboard, sides[side], { scrapeIntervalMs: instance.scrapeIntervalMs, atMs: systemClock.now() }, signal);

  const seen = (side: Side, wanted: (panel: string) => boolean) => untilSeen(() => ask(side), wanted, patience);

  /** Of the first region that PD itself moves nothing of just now, to another of its replicas. */
  const moveLeader = () =>
    waitFor(
      async () => {
        for (const { id, peers, leader } of (await pd.regions(signal)).regions) {
          const to = peers.find(({ storeId }) => storeId !== leader?.storeId)?.storeId;
          const order = { name: "transfer-leader", region_id: Number(id), to_store_id: Number(to) };
          const { status } = await pd.request("POST", "/pd/api/v1/operators", JSON.stringify(order), signal);
          if (status === 200) return true;
        }
        return false;
      },
      { ...patience, everyMs: 100, what: "a region whose leader may be moved" },
    );

  test.each(SIDES)("find data on the %s Prometheus, unless all is well", async (side) => {
    await seen(side, (panel) => !(panel in EMPTY_WHEN_WELL));
  });

  test("are answered alike: the same panels with data, the same labels", async ({ annotate }) => {
    const [embedded, real] = await Promise.all([ask("embedded"), ask("real")]);
    await annotate(`on the embedded Prometheus:\n${summary(embedded)}`);
    await annotate(`on the real Prometheus:\n${summary(real)}`);
    const labelsOf = (all: typeof real) =>
      all
        .filter(({ panel }) => !(panel in EMPTY_WHEN_WELL))
        .map(({ panel, range }) => [
          panel,
          [...new Set(range.flatMap(({ labels }) => Object.keys(labels)))].toSorted(),
        ]);
    expect(labelsOf(embedded)).toEqual(labelsOf(real));
  });

  test("variables and annotations are answered, too", async () => {
    for (const client of Object.values(sides)) {
      const instances = await client.labels({ name: "instance", match: ['up{job=~"pd|tikv"}'] }, signal);
      expect(instances).toHaveLength(6);
      for (const { expr } of dashboard.annotations.list)
        if (expr !== undefined) expect((await client.instant(expr, signal)).type).toBe("vector");
    }
  });

  test("find data in the panels that are empty when all is well, once a store is killed and started again", async ({
    annotate,
  }) => {
    const victim = (await instance.candidates("leads-region", signal))[0] as Component;
    await instance.engine.kill(victim, {}, signal);
    // What is refused and moved is so for a moment: from now on they are looked for.
    const all = Promise.all(SIDES.map((side) => seen(side, (panel) => panel in EMPTY_WHEN_WELL)));
    all.catch(() => {});
    await Promise.all(SIDES.map((side) => seen(side, (panel) => panel === "Alerts")));
    for (const side of SIDES) {
      const firing = (await sides[side].alerts(signal)).map(({ labels, state }) => `${labels["alertname"]} ${state}`);
      await annotate(`${side}: ${firing.join(", ")}`);
    }
    await instance.engine.start(victim, signal);
    await instance.waitReady({ timeoutMs: patience.timeoutMs }, signal);
    // What was balanced by itself may have been one thing only, and a counter that is born with a one never rose.
    for (const moved of [1, 2]) {
      await moveLeader();
      const counted = `sum(pd_schedule_operators_count{type="admin-transfer-leader", event="create"}) >= ${moved}`;
      for (const client of Object.values(sides)) {
        const isCounted = async () => seriesOf(await client.instant(counted, signal)).length > 0;
        await waitFor(isCounted, { ...patience, everyMs: 200, what: counted });
      }
    }
    await all;
  });
});
