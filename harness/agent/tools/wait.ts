import { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import type { Tool } from "../../protocol.ts";
import { reason, said } from "./shared.ts";

const input = z.strictObject({ seconds: z.number().min(0.1).max(120), reason });

/** For what needs time: heartbeats of 10 s, elections of 10 to 20 s, a member that rejoins in 30 s. */
export function wait(clock: Clock): Tool<typeof input> {
  return {
    name: "wait",
    description: "Let time pass, e.g. for a store's next heartbeat (10 s), before looking again.",
    input,
    effect: () => "read",
    run: async ({ seconds }, signal) => {
      await clock.sleep(seconds * 1_000, signal);
      return said(`waited ${seconds} s`);
    },
  };
}
