import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { auditIn, controlHome, openAudit, readAudit, verifyAudit } from "../../harness/control/audit/index.ts";
import { openTickets } from "../../tickets/index.ts";
import { openCompose } from "../../harness/engine/compose.ts";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { describeDocker } from "../support/docker.ts";
import { labHome, type LabHome } from "../support/lab-process.ts";

const IMAGE = "debian:bookworm-slim";
const deps = { clock: systemClock, ids: randomIds, log: silentLog };
const FAST = {
  WATCHDOG_INTERVAL_MS: "1000",
  WATCHDOG_BACKOFF_BASE_MS: "500",
  WATCHDOG_STABLE_MS: "3000",
  WATCHDOG_MAX_ATTEMPTS: "1",
  // A busy machine may take long to start a container.
  WATCHDOG_BLAME_MS: "600000",
};

const service = (name: string, script: string, more: string): string =>
  `  ${name}: { image: "${IMAGE}", command: [sh, -c, "${script}"], network_mode: none, stop_grace_period: 1s, ` +
  `labels: { io.operator.part: support, io.operator.component: ${name} }${more} }\n`;

/** A deployment whose sidecar runs only while a file is there. */
async function deployment(home: LabHome) {
  const project = `test-${randomIds.hex(4)}`;
  const shared = join(home.folder, "shared");
  await mkdir(shared);
  const volumes = `, volumes: ["${shared}:/shared:ro"]`;
  const sidecar = service("compose-agent", "test -e /shared/mended && exec sleep 1000; exit 1", volumes);
  const file = join(home.folder, "compose.yml");
  const legacyFile = join(home.folder, "legacy.yml");
  await writeFile(file, `services:\n${sidecar}${service("agent", "exec sleep 1001", "")}`);
  await writeFile(legacyFile, `services:\n${service("agent", "exec sleep 1002", "")}`);
  const compose = await openCompose({ file, project }, AbortSignal.timeout(10_000));
  const docker = await dockerClient();
  const containerOf = async (name: string) => {
    const label = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${name}`];
    const [found] = await docker.listContainers({ all: true, filters: { label } });
    return found === undefined ? null : docker.getContainer(found.Id);
  };
  return {
    project,
    compose,
    args: ["--project", project, "--deployment", project, "--compose-file", file, "--legacy-file", legacyFile],
    /** Which of the two forms the agent runs in. */
    mode: async () => {
      // It may be gone by now.
      const found = await (await containerOf("agent"))?.inspect().catch(() => null);
      return found?.State.Running ? (/100[12]/.exec((found.Config.Cmd ?? []).join(" "))?.[0] ?? null) : null;
    },
    remove: async (name: string) => (await containerOf(name))?.remove({ force: true }),
    mend: async () => {
      await writeFile(join(shared, "mended"), "");
      await (await containerOf("compose-agent"))?.start();
    },
    [Symbol.asyncDispose]: () => compose.down({ volumes: true, timeoutMs: 1_000 }, AbortSignal.timeout(60_000)),
  };
}

describeDocker("the fallback to legacy mode", () => {
  // The watchdog keeps what worked.
  afterAll(
    async () =>
      void (await (
        await dockerClient()
      )
        .getImage("debian:last-worked")
        .remove()
        .catch(() => {})),
  );

  test.concurrent(
    "where the host allows it: the agent comes from the legacy file, audited, and goes back when the sidecar is stable",
    async ({ signal }) => {
      await using home = await labHome({ ...FAST, ALLOW_LEGACY_FALLBACK: "true" });
      await using own = await deployment(home);
      const control = controlHome(join(home.folder, "xdg", "compose-agent"));
      {
        using options = auditIn(control, "compose-agent");
        await using audit = await openAudit(options, deps);
        await audit.event("started", {});
      }
      await own.compose.up({}, signal);
      const run = home.run("watchdog", "run", "--json", "--db", join(home.folder, "t.db"), ...own.args);
      await run.sees('"kind":"legacy-fallback"');
      expect(await own.mode()).toBe("1002");
      await own.mend();
      await run.sees('"kind":"legacy-return"');
      await waitFor(async () => (await own.mode()) === "1001", {
        clock: systemClock,
        timeoutMs: 30_000,
        everyMs: 200,
        what: "the agent without the socket",
        signal,
      });
      run.child.kill("SIGINT");
      await run.ended;
      using options = auditIn(control, "watchdog");
      expect(verifyAudit(options)).toMatchObject({ intact: true, intents: 2, open: [], outcomes: { ok: 2 } });
    },
  );

  test.concurrent(
    "not because the ticket file says that it was: an agent that is lost comes back without the socket",
    async ({ signal }) => {
      await using home = await labHome(FAST);
      await using own = await deployment(home);
      await own.compose.up({}, signal);
      const db = join(home.folder, "t.db");
      {
        await using tickets = await openTickets(db, deps);
        const now = systemClock.now();
        const said = { state: "healthy", reason: "", attempts: 0, maxAttempts: 1, gaveUp: true, legacy: true } as const;
        const row = { ...said, nextAttemptAt: null, lookedAt: now, everyMs: 1_000 };
        await tickets.watchdog.record({ ...row, deployment: own.project, component: "compose-agent" }, null, []);
      }
      const run = home.run("watchdog", "run", "--json", "--db", db, "--targets", "agent", ...own.args);
      await run.sees('"component":"agent","at"');
      await own.remove("agent");
      await run.sees(/"kind":"attempt".*"recreate/);
      await waitFor(async () => (await own.mode()) === "1001", {
        clock: systemClock,
        timeoutMs: 30_000,
        everyMs: 200,
        what: "the agent without the socket",
        signal,
      });
      run.child.kill("SIGINT");
      await run.ended;
    },
  );

  test.concurrent(
    "not after a command of the agent's own plane: the sidecar that it brought down stays its only hands",
    async ({ signal }) => {
      await using home = await labHome({ ...FAST, ALLOW_LEGACY_FALLBACK: "true" });
      await using own = await deployment(home);
      using options = auditIn(controlHome(join(home.folder, "xdg", "compose-agent")), "compose-agent");
      {
        await using audit = await openAudit(options, deps);
        const who = { plane: "compose_agent", caller: "agent", target: "tikv0", incident: null, commandId: null };
        await audit.outcome(await audit.intent({ ...who, command: "exec", effect: "destructive" }), {
          verdict: "ok",
          code: null,
        });
      }
      expect([...readAudit(options)].length).toBeGreaterThan(0);
      await own.compose.up({}, signal);
      const run = home.run("watchdog", "run", "--json", "--db", join(home.folder, "t.db"), ...own.args);
      await run.sees(/"kind":"legacy-refused".*the agent's own command `exec tikv0`/);
      expect(await own.mode()).toBe("1001");
      run.child.kill("SIGINT");
      await run.ended;
    },
  );
});
