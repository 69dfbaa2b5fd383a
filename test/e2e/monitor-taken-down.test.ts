import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { labHome } from "../support/lab-process.ts";

test("a monitor ends with the cluster that `lab subject down` takes, and opens no ticket about it", async () => {
  await using home = await labHome();
  const db = join(home.folder, "tickets.db");
  const done = async (...args: string[]): Promise<string> => {
    const run = home.run(...args);
    expect(await run.ended, run.stderr()).toBe(0);
    return run.stdout();
  };
  await done("subject", "up", "tikv", "--engine", "process");
  const monitor = home.run("monitor", "run", "--db", db, "--json");
  const watching = () => monitor.stderr().includes("watching instance");
  await waitFor(watching, { clock: systemClock, timeoutMs: 30_000, everyMs: 50, what: "the monitor to watch" });
  await done("subject", "down", "tikv");
  expect(await monitor.ended, monitor.stdout() + monitor.stderr()).toBe(0);
  expect(monitor.stderr()).toContain("is being taken down: there is nothing to watch");
  const tickets = JSON.parse(await done("ticket", "list", "--db", db, "--json")) as { readonly message: string }[];
  expect(
    tickets.map(({ message }) => message),
    monitor.stdout(),
  ).toEqual([]);
});
