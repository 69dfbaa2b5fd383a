import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import { watchTickets } from "../../tickets/index.ts";
import { describeDocker } from "../support/docker.ts";
import { newTickets } from "../support/ticket-folder.ts";

const IMAGE = "node:24-bookworm-slim";
const root = join(import.meta.dirname, "..", "..");

describeDocker("a ticket file shared with a container", () => {
  test("a ticket that is written inside wakes a reader outside, by event and not by poll", async ({ signal }) => {
    const { path, tickets } = await newTickets();
    const events = watchTickets(path, { clock: systemClock, log: silentLog, signal });
    expect((await events.next()).value).toBe("start");
    const mounts = ["-v", `${root}:${root}:ro`, "-v", `${dirname(path)}:${dirname(path)}`];
    const user = `${process.getuid?.()}:${process.getgid?.()}`;
    const program = join(root, "test", "support", "programs", "write-ticket.ts");
    const written = promisify(execFile)("docker", ["run", "--rm", "-u", user, ...mounts, IMAGE, "node", program, path]);
    // A slow machine may poll while the container starts; what counts is that the ticket itself comes as an event.
    let woken = (await events.next()).value;
    while (woken === "poll" && (await tickets.list()).length === 0) woken = (await events.next()).value;
    await written;
    expect(woken).toBe("change");
    expect(await tickets.list()).toMatchObject([{ message: "seen from a container", status: "open" }]);
  });
});
