import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type Docker from "dockerode";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { runWatchdog } from "../../harness/control/watchdog/run-watchdog.ts";
import { watchdogSettingsSchema } from "../../harness/control/watchdog/settings.ts";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { openDockerWatched } from "../../harness/engine/docker-watched.ts";
import { openTickets, type Tickets, type WatchdogKind } from "../../tickets/index.ts";
import { composeProject, type ComposeProject } from "../support/compose-project.ts";
import { describeDocker } from "../support/docker.ts";
import { imageThatNeedsNewerGlibc } from "../support/newer-glibc.ts";

const exec = promisify(execFile);
const deps = { clock: systemClock, ids: randomIds, log: silentLog, random: seededRandom(1) };

/** The real figures divided by about forty; nothing below asserts how long anything took. */
const settings = watchdogSettingsSchema.parse({
  intervalMs: 1_000,
  backoffBaseMs: 400,
  backoffFactor: 1.2,
  backoffCapMs: 2_000,
  maxAttempts: 3,
  stableMs: 3_000,
  actTimeoutMs: 60_000,
});

const ours = "labels: { io.operator.part: support }, init: false, stop_grace_period: 1s";
const service = (name: string, script: string, more = ""): string =>
  `  ${name}: { image: "debian:bookworm-slim", command: [sh, -c, "${script}"], ${ours}${more} }\n`;
/** Goes wrong in its first life alone: a file in the container outlives a restart. */
const once = (harm: string): string => `[ -e /again ] || { touch /again; ${harm}; }; exec sleep 1000`;
const STAYS = "exec sleep 1000";

/** Each is one case, so that all can go on at once. */
const services = (image: string): string =>
  service("quits", once("sleep 1; exit 3")) +
  service("loops", "sleep 0.1; exit 1", ", restart: always") +
  service("frozen", STAYS) +
  service(
    "sick",
    "touch /tmp/well; exec sleep 1000",
    ", healthcheck: { test: [CMD, test, -e, /tmp/well], interval: 1s, retries: 2 }",
  ) +
  service("hungry", once("sleep 1; exec tail /dev/zero"), ", mem_limit: 16m, memswap_limit: 16m") +
  service("lost", STAYS) +
  service("halted", STAYS) +
  `  stale: { image: "${image}", ${ours} }\n` +
  `  stillborn: { image: "${image}-bad", ${ours} }\n`;

describeDocker("the watchdog on real containers", () => {
  let folder: string;
  let tickets: Tickets;
  let project: ComposeProject;
  let docker: Docker;
  let image: string;
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "watchdog-"));
    tickets = await openTickets(join(folder, "tickets.db"), deps);
    docker = await dockerClient();
    image = `newer-glibc-${randomIds.hex(4)}`;
    await Promise.all([
      imageThatNeedsNewerGlibc(image, { good: true }),
      imageThatNeedsNewerGlibc(`${image}-bad`, { good: false }),
    ]);
    project = await composeProject(services(image));
    await project.compose.up({}, AbortSignal.timeout(60_000));
    const engine = await openDockerWatched(
      { project: project.name, compose: () => Promise.resolve(project.compose), docker },
      deps,
    );
    const targets = ["quits", "loops", "frozen", "sick", "hungry", "lost", "halted", "stale", "stillborn"];
    running = runWatchdog(
      { deployment: project.name, targets, engine, tickets, settings, legacy: null },
      deps,
      stop.signal,
    );
  }, 120_000);

  afterAll(async () => {
    stop.abort(new Error("ended"));
    await running;
    // Told to keep it: what was decided and why, case by case.
    const keep = process.env["WATCHDOG_EVENTS"];
    if (keep !== undefined)
      await writeFile(keep, JSON.stringify(await tickets.watchdog.events({ deployment: project.name }), null, 1));
    await project[Symbol.asyncDispose]();
    await tickets[Symbol.asyncDispose]();
    for (const tag of [`${image}:latest`, `${image}:last-worked`, `${image}-bad`, "debian:last-worked"])
      await exec("docker", ["image", "rm", "-f", tag]).catch(() => {});
    await rm(folder, { recursive: true });
  });

  const idOf = async (component: string): Promise<string> => {
    const label = [`com.docker.compose.project=${project.name}`, `com.docker.compose.service=${component}`];
    const found = await docker.listContainers({ all: true, filters: { label } });
    return found[0]?.Id ?? "";
  };
  const events = (component: string, ...kinds: WatchdogKind[]) =>
    tickets.watchdog.events({ deployment: project.name, component, ...(kinds.length === 0 ? {} : { kinds }) });
  const said = async (component: string, ...kinds: WatchdogKind[]) =>
    (await events(component, ...kinds)).map(({ reason }) => reason);
  const until = (component: string, kind: WatchdogKind, signal: AbortSignal, text = /./) =>
    waitFor(async () => (await events(component, kind)).find(({ reason }) => text.test(reason)), {
      clock: systemClock,
      timeoutMs: 100_000,
      everyMs: 100,
      what: `${component}: ${kind} ${text}`,
      signal,
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${JSON.stringify(await events(component), null, 1)}`);
    });
  const targetOf = async (component: string) =>
    (await tickets.watchdog.targets(project.name)).find((target) => target.component === component);

  test.concurrent(
    "one that ends by itself is started again, and its count begins anew when it has been stable",
    async ({ signal }) => {
      await until("quits", "stable", signal);
      expect(await said("quits", "state")).toContainEqual(expect.stringContaining("ended by itself, exit code 3"));
      expect(await said("quits", "attempt")).toEqual([expect.stringContaining("restart: ended by itself")]);
      expect(await targetOf("quits")).toMatchObject({ state: "healthy", attempts: 0, gaveUp: false });
    },
  );

  test.concurrent(
    "a crash loop under a restart policy is unhealthy whenever one looks, and is given up with a ticket",
    async ({ signal }) => {
      await until("loops", "gave-up", signal);
      expect(await said("loops", "attempt")).toHaveLength(3);
      expect(await said("loops", "attempt")).toContainEqual(expect.stringMatching(/\d+ restarts since trouble began/));
      const mine = async () => (await tickets.list()).filter(({ component }) => component === "loops");
      await waitFor(async () => (await mine()).length > 0, {
        clock: systemClock,
        timeoutMs: 10_000,
        everyMs: 50,
        what: "its ticket",
        signal,
      });
      expect(await mine()).toMatchObject([
        { severity: "critical", manual: true, status: "open", instance: project.name, invariant: "control-plane" },
      ]);
    },
  );

  test.concurrent("a paused one is let run on", async ({ signal }) => {
    await until("frozen", "state", signal);
    await docker.getContainer(await idOf("frozen")).pause();
    await until("frozen", "stable", signal);
    expect(await said("frozen", "attempt")).toEqual([expect.stringContaining("unpause: is paused")]);
    const { State } = await docker.getContainer(await idOf("frozen")).inspect();
    expect(State).toMatchObject({ Running: true, Paused: false });
  });

  test.concurrent("one that fails its health check is restarted", async ({ signal }) => {
    await until("sick", "state", signal, /passes its health check/);
    await exec("docker", ["exec", await idOf("sick"), "rm", "/tmp/well"]);
    await until("sick", "stable", signal);
    expect((await said("sick", "attempt"))[0]).toContain("restart: fails its health check");
  });

  test.concurrent("one that the kernel killed for want of memory is told apart, and restarted", async ({ signal }) => {
    await until("hungry", "stable", signal);
    expect(await said("hungry", "attempt")).toEqual([
      expect.stringContaining("restart: was killed for want of memory and is down, exit code 137"),
    ]);
  });

  test.concurrent("one that was removed is made anew from the compose file", async ({ signal }) => {
    await until("lost", "state", signal);
    const before = await idOf("lost");
    await docker.getContainer(before).remove({ force: true });
    await until("lost", "stable", signal);
    expect(await said("lost", "attempt")).toEqual([expect.stringContaining("recreate: has no container")]);
    expect(await idOf("lost")).not.toBe(before);
  });

  test.concurrent(
    "what an operator stops stays down, and is watched again once somebody starts it",
    async ({ signal }) => {
      await until("halted", "state", signal);
      const container = docker.getContainer(await idOf("halted"));
      await container.stop({ t: 1 });
      await until("halted", "left-alone", signal);
      // Longer than every pause together would be.
      await until("loops", "gave-up", signal);
      expect((await container.inspect()).State.Status).toBe("exited");
      expect(await said("halted", "attempt")).toEqual([]);
      await container.start();
      await until("halted", "state", signal, /^runs/);
      await container.kill({ signal: "HUP" });
      expect(await targetOf("halted")).toMatchObject({ gaveUp: false });
    },
  );

  test.concurrent(
    "a program that needs a newer C library goes back to the image that worked, without one restart",
    async ({ signal }) => {
      await waitFor(
        () =>
          docker
            .getImage(`${image}:last-worked`)
            .inspect()
            .then(
              (found) => found.Id,
              () => null,
            ),
        {
          clock: systemClock,
          timeoutMs: 60_000,
          everyMs: 100,
          what: "the image to be kept",
          signal,
        },
      );
      const good = (await docker.getImage(`${image}:latest`).inspect()).Id;
      // An update: the same name now means another image.
      await docker.getImage(`${image}-bad`).tag({ repo: image, tag: "latest" });
      await project.compose.up({ services: ["stale"] }, signal);
      await until("stale", "stable", signal);
      const all = await events("stale");
      const seen = all.findIndex(({ state, kind }) => state === "glibc-mismatch" && kind === "state");
      const attempts = all.slice(seen).filter(({ kind }) => kind === "attempt");
      expect(attempts).toMatchObject([
        { reason: expect.stringContaining("use-image: going back to the last image that worked") },
      ]);
      expect(await said("stale", "state")).toContainEqual(
        expect.stringMatching(/version `GLIBC_2\.99' not found \(required by \/app\)/),
      );
      const { Image, State } = await docker.getContainer(await idOf("stale")).inspect();
      expect([Image, State.Status]).toEqual([good, "running"]);
    },
  );

  test.concurrent("where no image is known that worked it is given up at once, with a ticket", async ({ signal }) => {
    await until("stillborn", "gave-up", signal);
    expect(await said("stillborn", "attempt")).toEqual([]);
    expect(await targetOf("stillborn")).toMatchObject({ state: "glibc-mismatch", gaveUp: true, attempts: 0 });
    await until("stillborn", "state", signal, /^ticket \d+ tells people/);
  });
});
