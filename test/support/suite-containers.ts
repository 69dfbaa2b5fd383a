import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openDockerEngine } from "../../harness/engine/docker-owner.ts";
import { composeProject } from "./compose-project.ts";
import type { EngineUnderTest } from "../contract/engine.suite.ts";

const up = "echo ready; echo careful >&2; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
const stubborn = "trap '' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
const bash = (script: string): string => JSON.stringify(["bash", "-c", script]);

const services = `
  steady: { image: "debian:bookworm-slim", init: true, restart: unless-stopped, command: ${bash(up)} }
  other: { image: "debian:bookworm-slim", init: true, restart: unless-stopped, command: ${bash(up)} }
  stubborn: { image: "debian:bookworm-slim", init: true, stop_grace_period: 1s, command: ${bash(stubborn)} }
  flaky: { image: "debian:bookworm-slim", restart: "on-failure:2", command: ${bash("sleep 0.1; exit 3")} }
`;

/** The four containers of the engine suite, in a compose project of their own. */
export async function suiteContainers(signal: AbortSignal): Promise<EngineUnderTest> {
  const project = await composeProject(services);
  await project.compose.up({ services: ["steady", "other", "stubborn"] }, signal);
  await project.compose.create(["flaky"], signal);
  const engine = await openDockerEngine(
    { project: project.name, network: project.network },
    { clock: systemClock, ids: randomIds, log: silentLog },
  );
  return {
    engine,
    echo: (text) => ["echo", text],
    exitWith: (code) => ["bash", "-c", `exit ${code}`],
    hang: () => ["sleep", "1000"],
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await project[Symbol.asyncDispose]();
    },
  };
}
