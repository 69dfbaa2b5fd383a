import { z } from "zod";
import type { ExecResult, Tool } from "../../protocol.ts";
import { shellEffect } from "./shell-effect.ts";
import { reason } from "./shared.ts";

/** Longest run of one line, and what one that asks for nothing gets. */
export const SHELL_SECONDS = 120;
/** Of each of the two outputs. */
export const SHELL_BYTES = 65_536;

export interface ShellResult extends ExecResult {
  /** True = it was killed because its time was over. */
  readonly timedOut: boolean;
}

/** Runs lines of shell as a user that may nothing: see `docker/agent/start`. */
export interface ShellRunner {
  /** @throws HarnessError `wrong-state` when the shell has ended; it does not come back. */
  run(
    command: string,
    options: { readonly timeoutMs: number; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<ShellResult>;
}

const input = z.strictObject({
  command: z.string().min(1).max(16_384).describe("read by bash"),
  timeout_seconds: z
    .int()
    .min(1)
    .max(SHELL_SECONDS)
    .default(SHELL_SECONDS)
    .describe("it and all that it started are killed then"),
  reason,
});

export function shell(runner: ShellRunner): Tool<typeof input> {
  return {
    name: "shell",
    description:
      "Run a line of bash beside the cluster, on its network, as an unprivileged user: curl, node, getent and the " +
      "usual text tools; PD_URLS and PROMETHEUS_URL are set. Nothing that it starts outlives the call, files only in " +
      "/tmp. No way to containers or hosts: use the container tools for these.",
    input,
    effect: ({ command }) => shellEffect(command),
    run: async ({ command, timeout_seconds }, signal) => {
      const options = { timeoutMs: timeout_seconds * 1_000, maxBytes: SHELL_BYTES };
      const done = await runner.run(command, options, signal);
      const cut = done.truncated ? ", output cut" : "";
      const parts = [
        done.timedOut ? `killed after ${timeout_seconds} s${cut}` : `exit code ${done.exitCode}${cut}`,
        ...(done.stdout === "" ? [] : [`stdout:\n${done.stdout}`]),
        ...(done.stderr === "" ? [] : [`stderr:\n${done.stderr}`]),
      ];
      return { text: parts.join("\n"), isError: false, exitCode: done.exitCode };
    },
  };
}
