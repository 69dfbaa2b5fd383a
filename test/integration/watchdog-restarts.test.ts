import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { openDockerWatched } from "../../harness/engine/docker-watched.ts";
import { openCompose } from "../../harness/engine/compose.ts";
import { openTickets } from "../../tickets/index.ts";
import { composeProject } from "../support/compose-project.ts";
import { describeDocker } from "../support/docker.ts";
import { labHome, type LabHome, type LabRun } from "../support/lab-process.ts";
import { mayStartDaemon, ownDaemon, TINY_IMAGE } from "../support/own-docker-daemon.ts";

const deps = { clock: systemClock, ids: randomIds, log: silentLog };
const IMAGE = "debian:bookworm-slim";
const FAST = {
  WATCHDOG_INTERVAL_MS: "1000",
  WATCHDOG_BACKOFF_JITTER: "0",
  WATCHDOG_BACKOFF_FACTOR: "1",
  WATCHDOG_STABLE_MS: "3000",
};

interface Told {
  readonly component: string;
  readonly kind: string;
  readonly reason: string;
  readonly at: number;
  readonly attempt: number;
}

const toldBy = (run: LabRun): Told[] =>
  run
    .stdout()
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as Told);

function watchdog(home: LabHome, project: string, file: string, ...targets: string[]): LabRun {
  const db = join(home.folder, "tickets.db");
  const where = ["--project", project, "--deployment", project, "--compose-file", file, "--db", db];
  return home.run("watchdog", "run", "--json", ...where, "--targets", ...targets);
}

describeDocker("a watchdog that goes on", () => {
  test.concurrent(
    "killed in the middle of a back-off it goes on where it was: the count, and what is left of the pause",
    async ({ signal }) => {
      const labels = "labels: { io.operator.part: support }";
      await using project = await composeProject(
        `  broken: { image: "${IMAGE}", command: [sh, -c, "echo up; exit 1"], network_mode: none, ${labels} }\n`,
      );
      await using home = await labHome({ ...FAST, WATCHDOG_BACKOFF_BASE_MS: "4000", WATCHDOG_MAX_ATTEMPTS: "2" });
      await project.compose.up({}, signal);
      const first = watchdog(home, project.name, project.file, "broken");
      const engine = await openDockerWatched(
        { project: project.name, compose: () => Promise.resolve(project.compose) },
        deps,
      );
      const lines = () => engine.logs("broken", { tail: 10, since: null }, signal);
      // It has been started again, and is down again: the pause has begun.
      await waitFor(async () => (await lines()).length === 2, {
        clock: systemClock,
        timeoutMs: 60_000,
        everyMs: 100,
        what: "its first attempt",
        signal,
      });
      first.child.kill("SIGKILL");
      await first.ended;
      await using tickets = await openTickets(join(home.folder, "tickets.db"), deps);
      const state = async () =>
        (await tickets.watchdog.targets(project.name)).find(({ component }) => component === "broken");
      const before = await state();
      expect(before).toMatchObject({ attempts: 1, gaveUp: false });
      const due = before?.nextAttemptAt ?? 0;
      expect(due).toBeGreaterThan(0);

      const second = watchdog(home, project.name, project.file, "broken");
      await second.sees('"kind":"gave-up"');
      const attempts = toldBy(second).filter(({ kind }) => kind === "attempt");
      expect(attempts).toMatchObject([{ attempt: 2 }]);
      expect(attempts[0]?.at).toBeGreaterThanOrEqual(due);
      expect(await state()).toMatchObject({ attempts: 2, gaveUp: true });
      await second.sees("tells people");
      expect(await tickets.list()).toHaveLength(1);
      second.child.kill("SIGINT");
      await second.ended;

      // What the container itself says: its first start, and one for each attempt.
      expect(await lines()).toEqual(["up", "up", "up"]);
    },
  );

  test.concurrent(
    "killed after a restart that stopped the container and could not start it again, the next one takes that for its own",
    async ({ signal }) => {
      const more = 'stop_grace_period: 1s, labels: { io.operator.part: support }, healthcheck: { test: "false", ';
      await using project = await composeProject(
        `  holder: { image: "${IMAGE}", command: [sleep, "1000"], network_mode: none, stop_grace_period: 1s }\n` +
          `  guest: { image: "${IMAGE}", command: [sleep, "1000"], network_mode: "service:holder", ${more}interval: 1s, retries: 1 } }\n`,
      );
      await using home = await labHome({ ...FAST, WATCHDOG_BACKOFF_BASE_MS: "4000" });
      await project.compose.up({}, signal);
      // It runs on in a network that no start will find again.
      await project.compose.remove(["holder"], signal);
      await project.compose.up({ services: ["holder"], noDeps: true }, signal);
      const first = watchdog(home, project.name, project.file, "guest");
      await first.sees('"kind":"attempt-failed"');
      first.child.kill("SIGKILL");
      await first.ended;
      const second = watchdog(home, project.name, project.file, "guest");
      await second.sees(/"kind":"attempt".*"recreate/);
      expect(toldBy(second).filter(({ kind }) => kind === "left-alone")).toEqual([]);
      second.child.kill("SIGINT");
      await second.ended;
    },
  );

  (mayStartDaemon ? test.concurrent : test.skip)(
    "an engine that restarts is survived: what ran runs again, what an operator had stopped before stays down",
    async ({ signal }) => {
      await using daemon = await ownDaemon();
      await using home = await labHome({
        ...FAST,
        WATCHDOG_BACKOFF_BASE_MS: "500",
        DOCKER_HOST: daemon.host,
        PATH: process.env["PATH"] ?? "",
      });
      const file = join(home.folder, "compose.yml");
      const make = (name: string, script: string) =>
        `  ${name}: { image: "${TINY_IMAGE}", command: [sh, -c, "${script}"], network_mode: none, stop_grace_period: 1s, ` +
        "restart: on-failure, labels: { io.operator.part: support } }\n";
      // Ends well when it is told to, so that no policy brings it back.
      const polite = "trap 'exit 0' TERM; while :; do sleep 0.2; done";
      await writeFile(file, `services:\n${make("kept", polite)}${make("halted", polite)}`);
      const compose = await openCompose({ file, project: "own", env: { DOCKER_HOST: daemon.host } }, signal);
      await compose.up({}, signal);
      const inspect = async (service: string) => {
        const [found] = await daemon.docker.listContainers({
          all: true,
          filters: { label: [`com.docker.compose.service=${service}`] },
        });
        return await daemon.docker.getContainer(found?.Id ?? "").inspect();
      };
      const run = watchdog(home, "own", file, "kept", "halted");
      await run.sees(/"component":"kept".*"reason":"runs"/);
      await run.sees(/"component":"halted".*"reason":"runs"/);
      await daemon.docker.getContainer((await inspect("halted")).Id).stop();
      await run.sees(/"component":"halted".*"kind":"left-alone"/);
      // A stop that the engine outlived by two seconds was none of its own shutdown's.
      const stopped = toldBy(run).find(({ kind }) => kind === "left-alone")?.at ?? 0;
      await using tickets = await openTickets(join(home.folder, "tickets.db"), deps);
      const looked = async () =>
        (await tickets.watchdog.targets("own")).find(({ component }) => component === "halted")?.lookedAt ?? 0;
      await waitFor(async () => (await looked()) > stopped + 3_000, {
        clock: systemClock,
        timeoutMs: 30_000,
        everyMs: 200,
        what: "another look",
        signal,
      });
      await daemon.restart(async () => {
        await run.sees("the engine does not answer");
      });
      await run.sees("the engine answers again");
      await run.sees(/"component":"kept".*"kind":"attempt"/);
      await waitFor(async () => (await inspect("kept")).State.Running, {
        clock: systemClock,
        timeoutMs: 30_000,
        everyMs: 200,
        what: "the one that ran",
        signal,
      });
      expect((await inspect("halted")).State.Running).toBe(false);
      expect(toldBy(run).filter(({ component, kind }) => component === "halted" && kind === "attempt")).toEqual([]);
      run.child.kill("SIGINT");
      await run.ended;
    },
  );
});
