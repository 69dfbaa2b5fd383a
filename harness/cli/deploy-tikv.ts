import type { SubjectInstance } from "../protocol.ts";
import type { TrialPlan } from "../trial/plan.ts";
import type { TrialRequest } from "./trial-request.ts";
import type { CliIo } from "./io.ts";

/** The subject of a trial: a fresh one of ours, or somebody's running cluster. Docker's client is loaded only for Docker. */
export async function deployTikv(
  { request, plan, stateDir }: { request: TrialRequest; plan: TrialPlan; stateDir: string },
  { deps }: CliIo,
  signal: AbortSignal,
): Promise<SubjectInstance> {
  const { engine, attach } = request;
  const options = {
    engine,
    id: plan.instance,
    stateDir,
    project: `tikv-${plan.instance}`,
    network: `tikv-${plan.instance}`,
    timeFactor: plan.timeFactor,
  };
  if (engine === "process") {
    const { deployEmbedded } = await import("../../subjects/tikv/adapter-process.ts");
    return await deployEmbedded(options, deps, signal);
  }
  const { attachDocker, deployDocker } = await import("../../subjects/tikv/adapter-docker.ts");
  if (attach === undefined) return await deployDocker(options, deps, signal);
  return await attachDocker({ engine, project: attach, id: plan.instance, stateDir }, deps, signal);
}
