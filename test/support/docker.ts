import { describe, type SuiteFactory } from "vitest";
import { dockerClient } from "../../harness/engine/docker-client.ts";

/** Why there is no Docker engine here, or null. Asked once per test file. */
async function whyNoDocker(): Promise<string | null> {
  try {
    await (await dockerClient()).ping();
    return null;
  } catch (error) {
    return `no Docker engine answers (${(error as NodeJS.ErrnoException).code ?? String(error)})`;
  }
}

const why = await whyNoDocker();

/**
 * `describe` for what needs a Docker engine. Without one it is skipped and says why; under CI it fails instead, so that
 * a broken engine cannot pass for a laptop without Docker.
 */
export function describeDocker(name: string, body: SuiteFactory): void {
  if (why === null) return void describe(name, body);
  if ((process.env["CI"] ?? "") !== "") throw new Error(`${name}: ${why}, and CI is set`);
  describe.skip(`${name} [not run here: ${why}]`, body);
}
