import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { labHome, type LabHome } from "../support/lab-process.ts";

const docker = promisify(execFile);
const images = await standInImages();

async function lab(home: LabHome, ...args: string[]): Promise<string> {
  const run = home.run(...args);
  expect(await run.ended, `${args.join(" ")}\n${run.stdout()}${run.stderr()}`).toBe(0);
  return run.stdout();
}

const statusOf = async (home: LabHome, id: number): Promise<string> => {
  const tickets = JSON.parse(await lab(home, "ticket", "list", "--json")) as { id: number; status: string }[];
  return tickets.find((ticket) => ticket.id === id)?.status ?? "none";
};

const resolved = (home: LabHome, id: number) =>
  waitFor(async () => (await statusOf(home, id)) === "resolved", {
    clock: systemClock,
    timeoutMs: 60_000,
    everyMs: 1_000,
    what: `ticket #${id} to be resolved`,
  });

describeDocker("an operator on call", () => {
  test("works what the monitor finds and what a person reports, and the monitor has the last word", async () => {
    const user = await mkdtemp(join(tmpdir(), "user-"));
    await using home = await labHome({ ...images, HOME: user, DOCKER_CONFIG: join(user, ".docker"), PANEL_PORT: "0" });
    await lab(home, "subject", "up", "tikv", "--engine", "docker");
    const monitor = home.run("monitor", "run");
    try {
      await lab(home, "agent", "up");
      const { stdout } = await docker("docker", [
        "ps",
        "-q",
        "--filter=label=com.docker.compose.project=tikv",
        "--filter=label=com.docker.compose.service=tikv1",
      ]);
      await docker("docker", ["kill", stdout.trim()]);
      await resolved(home, 1);
      await lab(home, "ticket", "create", "--invariant", "store_up", "--store", "tikv0", "--message", "it looks slow");
      await resolved(home, 2);
      const sessions = JSON.parse(await lab(home, "session", "list", "--json")) as {
        ticketId: number;
        ending: string;
      }[];
      expect(sessions.map(({ ticketId, ending }) => `${ticketId} ${ending}`).toSorted()).toEqual([
        "1 resolved",
        "2 no-fault",
      ]);
    } finally {
      monitor.child.kill("SIGTERM");
      await monitor.ended;
      await lab(home, "agent", "down");
      await lab(home, "subject", "down", "tikv");
      await rm(user, { recursive: true, force: true });
    }
    const left = await docker("docker", ["ps", "-aq", "--filter=label=com.docker.compose.project=tikv"]);
    expect(left.stdout).toBe("");
  });
});
