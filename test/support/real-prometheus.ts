import { spawnSync } from "node:child_process";
import { describe, type SuiteFactory } from "vitest";

export { startPrometheus, type RunningPrometheus } from "./prometheus-process.ts";

const missing = ["prometheus", "promtool"].find((program) => spawnSync(program, ["--version"]).error !== undefined);

/** `describe` for what needs a real Prometheus. Without one skipped, saying why; under CI it fails instead. */
export function describePrometheus(name: string, body: SuiteFactory): void {
  if (missing === undefined) return void describe(name, body);
  if ((process.env["CI"] ?? "") !== "") throw new Error(`${name}: there is no ${missing} (and CI is set)`);
  describe.skip(`${name} [not run here: there is no ${missing}]`, body);
}

/** What `promtool` said, both streams, and how it ended. */
export function promtool(...args: readonly string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  return { status, said: `${stdout}${stderr}` };
}
