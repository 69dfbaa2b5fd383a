import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { $ } from "zx";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { AGENT_IMAGES_MS, agentUser, type AgentUser } from "../support/agent-user.ts";
import { describeDocker } from "../support/docker.ts";
import { panelPerson } from "../support/panel-person.ts";

const DOCKER = "/var/run/docker.sock";
/** The watchdog, with less patience than it has for people. */
const QUICK = {
  WATCHDOG_INTERVAL_MS: "500",
  WATCHDOG_BACKOFF_BASE_MS: "200",
  WATCHDOG_STABLE_MS: "5000",
  WATCHDOG_MAX_ATTEMPTS: "1",
};

describeDocker("the agent's shipped containers in legacy mode, with the panel", () => {
  let at: AgentUser;
  beforeAll(
    async () => void (at = await agentUser(["pd0", "tikv0"], { ...QUICK, ALLOW_LEGACY_FALLBACK: "true" })),
    AGENT_IMAGES_MS,
  );
  afterAll(() => at[Symbol.asyncDispose](), 120_000);

  async function lab(...args: string[]): Promise<string> {
    const run = at.home.run(...args);
    expect(await run.ended, `${args.join(" ")}\n${run.stdout()}${run.stderr()}`).toBe(0);
    return run.stdout();
  }

  /** Container id of one of the agent's services; "" = it is not there. */
  async function idOf(service: string): Promise<string> {
    const labels = ["com.docker.compose.project=operator-agent", `com.docker.compose.service=${service}`];
    const filters = labels.flatMap((label) => ["--filter", `label=${label}`]);
    return (await $({ quiet: true })`docker ps -aq --no-trunc ${filters}`).stdout.trim();
  }

  const sources = async (service: string): Promise<readonly string[]> => {
    const format = "{{range .Mounts}}{{.Source}}\n{{end}}";
    const { stdout } = await $({ quiet: true })`docker inspect ${await idOf(service)} --format ${format}`;
    return stdout.split("\n").filter((line) => line !== "");
  };

  async function signIn() {
    const { password } = JSON.parse(await lab("panel", "password", "anna", "--json")) as { password: string };
    const port = (await $({ quiet: true })`docker port ${await idOf("statuspanel")} 8702`).stdout.trim();
    return await panelPerson({ panel: { pageUrl: `http://${port}/` } }, { name: "anna", password });
  }

  const sees = (person: { page(): Promise<string> }, what: RegExp) =>
    waitFor(async () => what.test(await person.page().catch(() => "")), {
      clock: systemClock,
      timeoutMs: 90_000,
      everyMs: 250,
      what: `${what.source} on the page`,
    });

  test("people see the cluster and command it through the agent; a watchdog makes its container anew as it was", async () => {
    await lab("agent", "up", "--legacy", "--network", at.network);
    expect(await sources("agent")).toContain(DOCKER);
    expect(await sources("statuspanel")).toEqual([expect.stringMatching(/status_panel$/)]);
    const anna = await signIn();
    await sees(anna, /Agent <small>legacy mode/);
    await sees(anna, /tikv0/);
    expect(await anna.does("/commands", { command: "pause", component: "tikv0" })).toMatch(/by the agent/);
    expect(await lab("panel", "commands")).toMatch(/pause.*tikv0|tikv0.*pause/);
    expect(await anna.does("/commands", { command: "unpause", component: "tikv0" })).toMatch(/by the agent/);

    const before = await idOf("agent");
    const watchdog = at.home.run("watchdog", "--json", "--network", at.network);
    try {
      await watchdog.sees('"component":"agent"');
      await $({ quiet: true })`docker rm -f ${before}`;
      await watchdog.sees(/"component":"agent".*"recreate/);
      await waitFor(async () => !["", before].includes(await idOf("agent")), {
        clock: systemClock,
        timeoutMs: 60_000,
        everyMs: 200,
        what: "the agent's container to be there again",
      });
      expect(await sources("agent")).toContain(DOCKER);
    } finally {
      watchdog.child.kill("SIGTERM");
      await watchdog.ended;
    }
  }, 240_000);

  test("a watchdog that falls back leaves people their panel, whose commands the agent carries out until the sidecar is back", async () => {
    await lab("agent", "up", "--compose-mode", "--network", at.network);
    const anna = await signIn();
    const panel = await idOf("statuspanel");
    const restart = () => anna.does("/commands", { command: "restart", component: "tikv0" });
    // Both have just been started.
    const throughSidecar = () =>
      waitFor(async () => /by the compose-agent/.test(await restart()), {
        clock: systemClock,
        timeoutMs: 60_000,
        everyMs: 1_000,
        what: "a command by the compose-agent",
      });
    await throughSidecar();
    const watchdog = at.home.run("watchdog", "--json", "--network", at.network);
    try {
      await watchdog.sees('"component":"compose-agent"');
      // It cannot start without its queue; a kill from outside would be somebody's own stop.
      const queue = join(at.user, ".local", "state", "compose-agent", "queue");
      await chmod(queue, 0);
      const die = 'for p in /proc/[0-9]*; do grep -q "[h]arness/control/main" $p/cmdline && kill -9 ${p#/proc/}; done';
      await $({ quiet: true, nothrow: true })`docker exec ${await idOf("compose-agent")} sh -c ${die}`;
      await watchdog.sees('"kind":"legacy-fallback"');
      await sees(anna, /Agent <small>legacy mode/);
      expect(await sources("agent")).toContain(DOCKER);
      expect(await restart()).toMatch(/by the agent/);

      await chmod(queue, 0o700);
      await watchdog.sees('"kind":"legacy-return"');
      await waitFor(async () => !(await sources("agent").catch(() => [DOCKER])).includes(DOCKER), {
        clock: systemClock,
        timeoutMs: 60_000,
        everyMs: 250,
        what: "the agent without the socket",
      });
      await throughSidecar();
      expect(await idOf("statuspanel")).toBe(panel);
    } finally {
      watchdog.child.kill("SIGTERM");
      await watchdog.ended;
    }
    expect(await lab("audit", "verify")).toContain("intact");
  }, 300_000);
});
