import { HarnessError } from "../base/errors.ts";
import type { EngineKind, Scenario } from "../protocol.ts";
import type { CliIo } from "./io.ts";

/**
 * `auto` takes Docker when its engine answers and the subject's images are there, else the embedded cluster, and says
 * which.
 *
 * @throws HarnessError `not-supported` when the scenario cannot run on the engine that was asked for.
 */
export async function chooseEngine(asked: "auto" | EngineKind, scenario: Scenario, io: CliIo): Promise<EngineKind> {
  const engine = asked === "auto" ? await found(io) : asked;
  if (!scenario.engines.includes(engine))
    throw new HarnessError(
      "not-supported",
      `${scenario.id} is not runnable on the ${engine} engine; it runs on: ${scenario.engines.join(", ")}`,
    );
  return engine;
}

async function found(io: CliIo): Promise<EngineKind> {
  const { dockerReadiness } = await import("../../subjects/tikv/adapter-docker.ts");
  const why = await dockerReadiness(io.signal);
  if (why === null) return "docker";
  io.err(`engine: process, the embedded stand-in (${why})\n`);
  return "process";
}

/** For a subject that is started to stay: the same choice without a scenario. */
export function chooseSubjectEngine(asked: "auto" | EngineKind, io: CliIo): Promise<EngineKind> {
  return asked === "auto" ? found(io) : Promise.resolve(asked);
}
