import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { $ } from "zx";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openTickets } from "../../tickets/index.ts";
import { AGENT_IMAGES_MS, agentUser } from "../support/agent-user.ts";
import { describeDocker } from "../support/docker.ts";

/** Services of the agent's project that run now. */
async function running(): Promise<string[]> {
  const format = '{{.Label "com.docker.compose.service"}}';
  const { stdout } = await $({
    quiet: true,
  })`docker ps --filter label=com.docker.compose.project=operator-agent --format ${format}`;
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .toSorted();
}

describeDocker("lab agent up", () => {
  test(
    "the settings choose the mode, a flag wins; one mode replaces the other; a signed request by hand; down",
    async () => {
      await using at = await agentUser(["pd0"], { COMPOSE_AGENT_ENABLED: "yes" });
      const { home, user, network } = at;
      const state = join(user, ".local", "state");
      const where = ["--network", network];
      const wanted = async (component: string) => {
        const deps = { clock: systemClock, ids: randomIds, log: silentLog };
        await using tickets = await openTickets(join(user, ".operator", "tickets.db"), deps);
        return (await tickets.watchdog.intent("default", component))?.wanted;
      };
      const lab = async (...args: string[]) => {
        const run = home.run(...args);
        expect(await run.ended, `${args.join(" ")}\n${run.stdout()}${run.stderr()}`).toBe(0);
        return { out: run.stdout(), err: run.stderr() };
      };
      const legacy = await lab("agent", "up", "--legacy", ...where);
      expect(legacy.err).toContain("holds the Docker socket itself (legacy mode)");
      expect(legacy.err).toContain("made a token for status_panel");
      expect(legacy.err).not.toContain("made a token for compose_agent");
      expect(await running()).toEqual(["agent", "statuspanel"]);
      // A watchdog that runs must not bring back beside it what only compose mode has.
      expect(await wanted("agent")).toBe("running");
      expect(await wanted("statuspanel")).toBe("running");
      expect(await wanted("compose-agent")).toBe("stopped");

      const up = await lab("agent", "up", ...where, "--json");
      expect(JSON.parse(up.out)).toMatchObject({ mode: "compose", state: "up", network });
      expect(up.err).toMatch(/made a token for compose_agent \([0-9a-f]{16}\)/);
      expect(await running()).toEqual(["agent", "agent-net", "compose-agent", "model-proxy", "statuspanel"]);
      expect(await wanted("compose-agent")).toBe("running");
      expect((await lab("agent", "logs", "compose-agent")).err).toContain("compose_agent=true - compose-agent sidecar");

      const socket = join(state, "compose-agent", "control.sock");
      const call = await lab("control", "call", "list", "--socket", socket, "--json");
      expect(call.out).toContain("pd0");
      expect(call.out).not.toContain("compose-agent");

      // What compose is told by hand: folders that are there and ours alone, and no secret.
      const env = JSON.parse((await lab("agent", "env", ...where, "--json")).out) as Record<string, string>;
      for (const name of ["TICKETS_DIR", "STATE_DIR", "TOKEN_DIR"])
        expect((await stat(env[name] ?? "")).mode & 0o077, name).toBe(0);
      const planes = await readdir(env["TOKEN_DIR"] ?? "");
      expect(planes.toSorted()).toEqual(["compose_agent", "status_panel"]);
      for (const plane of planes) {
        const { token } = JSON.parse(await readFile(join(env["TOKEN_DIR"] ?? "", plane, "token.json"), "utf8"));
        expect(JSON.stringify(env) + up.out + up.err).not.toContain(token);
      }
      await lab("agent", "down");
      expect(await running()).toEqual([]);
      const networks = await $({
        quiet: true,
      })`docker network ls --filter label=com.docker.compose.project=operator-agent -q`;
      expect(networks.stdout).toBe("");
    },
    AGENT_IMAGES_MS,
  );
});
