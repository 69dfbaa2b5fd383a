import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import { deploymentOf, watchRollback } from "../../harness/trial/rollback.ts";
import { newTickets } from "../support/ticket-folder.ts";

test("a rollback to legacy mode in mid-trial ends the trial as the lab's failure; another deployment's does not", async () => {
  const { tickets } = await newTickets();
  const instance = "0a1b2c3d" as InstanceId;
  const failed = Promise.withResolvers<unknown>();
  await using _ = watchRollback(tickets, instance, { clock: systemClock, log: silentLog }, failed.resolve);
  const fallBack = (deployment: string, reason: string) =>
    tickets.watchdog.record(
      {
        deployment,
        component: "compose-agent",
        state: "unhealthy",
        reason,
        attempts: 5,
        maxAttempts: 5,
        gaveUp: true,
        legacy: true,
        nextAttemptAt: null,
        lookedAt: systemClock.now(),
        everyMs: 1_000,
      },
      {},
      [{ at: systemClock.now(), kind: "legacy-fallback", state: "unhealthy", reason, attempt: 5 }],
    );
  await fallBack("somebody-elses", "theirs");
  await fallBack(deploymentOf(instance), "it could not be kept up");
  expect(await failed.promise).toMatchObject({
    code: "operator-failed",
    message: "the operator went back to legacy mode in mid-trial: it could not be kept up",
  });
});
