import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { openCompose, type Compose } from "../../harness/engine/compose.ts";
import { ensureImage } from "../../harness/engine/images.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { COMPOSE_FILE, PORT_VARIABLES, SCRAPE_INTERVAL_MS } from "../../subjects/tikv/docker-layout.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { askAll, shippedDashboard, summary, untilSeen } from "../support/dashboard.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { figures } from "../support/go-ycsb.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const BUILD_TIMEOUT_MS = 900_000;
const RECORDS = 300;
/** For half a minute, so that there are rates to be seen meanwhile. */
const OPERATIONS = 1_800;
const PER_SECOND = 60;

/** Panels that show nothing here, and why. */
const EMPTY_HERE: Readonly<Record<string, string>> = {
  "Clients succeed": "go-ycsb measures for itself",
  "Client operations": "go-ycsb measures for itself",
  "Client latency A": "go-ycsb measures for itself",
  "Client latency B": "go-ycsb measures for itself",
  Alerts: "nothing fires",
  "Refusals by cause": "nothing is refused",
  "Raft link failures": "every store reaches every other",
  Operators: "nothing needs to be moved",
};

describeDocker("the compose file with the profile load", () => {
  const project = `tikv-${randomIds.hex(4)}`;
  let compose: Compose;

  beforeAll(async () => {
    for (const image of [ownImages.clusterNode, ownImages.goYcsb])
      await ensureImage(image, AbortSignal.timeout(BUILD_TIMEOUT_MS));
    const env = {
      ...(await standInImages()),
      // Docker chooses.
      ...Object.fromEntries(PORT_VARIABLES.map((name) => [name, ""])),
      TIKV_NETWORK: project,
      INSTANCE_LABEL: project,
      YCSB_RECORDS: String(RECORDS),
      YCSB_OPERATIONS: String(OPERATIONS),
      YCSB_TARGET: String(PER_SECOND),
      YCSB_THREADS: "4",
    };
    compose = await openCompose({ file: COMPOSE_FILE, project, env, profiles: ["load"] }, signal);
    await compose.up({}, signal);
  }, BUILD_TIMEOUT_MS + 120_000);
  afterAll(async () => await compose?.down({ volumes: true, timeoutMs: 1_000 }, signal), 60_000);

  const docker = async (...args: readonly string[]) => (await run("docker", args)).stdout.trim();
  const containerOf = async (service: string) => {
    const filters = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`];
    return await docker("ps", "-aq", ...filters.flatMap((label) => ["--filter", `label=${label}`]));
  };
  const patience = { clock: systemClock, timeoutMs: 90_000, everyMs: 500, signal };

  test(
    "while it runs Prometheus has the alert rules, and data for the dashboard",
    { timeout: 120_000 },
    async ({ annotate }) => {
      const address = await docker("port", await containerOf("prometheus"), "9090");
      const prometheus = prometheusClient({ url: `http://${address}` }, { clock: systemClock, fetch });
      const rules = await prometheus.alertingRules(signal);
      expect(rules.filter(({ health }) => health === "err")).toEqual([]);
      expect(rules.map(({ name }) => name)).toEqual(expect.arrayContaining(["Target_down", "PD_quorum_lost"]));
      const ask = () =>
        askAll(
          shippedDashboard(),
          prometheus,
          { scrapeIntervalMs: SCRAPE_INTERVAL_MS, atMs: systemClock.now() },
          signal,
        );
      await untilSeen(ask, (panel) => !(panel in EMPTY_HERE), patience);
      await annotate(summary(await ask()));
    },
  );

  test("it loads, then runs, and ends well", { timeout: 120_000 }, async ({ annotate }) => {
    const load = await containerOf("load");
    const state = () => docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", load);
    await waitFor(async () => (await state()).startsWith("exited"), { ...patience, what: "go-ycsb to end" });
    const output = await docker("logs", load);
    await annotate(
      output
        .split("\n")
        .filter((line) => line.includes("Takes(s)"))
        .join("\n"),
    );
    expect(await state()).toBe("exited 0");
    const found = figures(output);
    expect([...found.keys()].toSorted()).toEqual(["INSERT", "READ", "TOTAL", "UPDATE"]);
    expect(found.get("INSERT")?.["Count"]).toBe(RECORDS);
    expect(found.get("TOTAL")?.["Count"]).toBe(OPERATIONS);
  });
});
