import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openCompose } from "../../harness/engine/compose.ts";
import { openDockerEngine } from "../../harness/engine/docker.ts";
import { describeDocker } from "../support/docker.ts";
import { engineContract, type EngineUnderTest } from "./engine.suite.ts";

const SAY = "echo ready; echo careful >&2";
const UP = `${SAY}; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done`;

const file = (network: string): string => `
services:
  steady: { image: "debian:bookworm-slim", init: true, restart: unless-stopped, command: [bash, -c, ${yaml(UP)}] }
  other: { image: "debian:bookworm-slim", init: true, restart: unless-stopped, command: [bash, -c, ${yaml(UP)}] }
  stubborn:
    image: debian:bookworm-slim
    init: true
    stop_grace_period: 1s
    command: [bash, -c, ${yaml("trap '' TERM; echo ready; while :; do sleep 1000 & wait $!; done")}]
  flaky: { image: "debian:bookworm-slim", restart: "on-failure:2", command: [bash, -c, "sleep 0.1; exit 3"] }
networks: { default: { name: ${network} } }
`;

// Compose reads $ as a variable; $$ is a plain one.
const yaml = (text: string): string => JSON.stringify(text.replaceAll("$", "$$$$"));

async function setUp(signal: AbortSignal): Promise<EngineUnderTest> {
  const project = `contract-${randomBytes(4).toString("hex")}`;
  const folder = await mkdtemp(join(tmpdir(), "engine-docker-"));
  const composeFile = join(folder, "docker-compose.yaml");
  await writeFile(composeFile, file(`${project}_net`));
  const compose = await openCompose({ file: composeFile, project }, signal);
  await compose.up({ services: ["steady", "other", "stubborn"] }, signal);
  await compose.create(["flaky"], signal);
  const engine = await openDockerEngine(
    { project, network: `${project}_net` },
    { clock: systemClock, ids: randomIds, log: silentLog },
  );
  return {
    engine,
    echo: (text) => ["echo", text],
    exitWith: (code) => ["bash", "-c", `exit ${code}`],
    hang: () => ["sleep", "1000"],
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await compose.down({ volumes: true, timeoutMs: 1_000 }, AbortSignal.timeout(60_000));
      await rm(folder, { recursive: true });
    },
  };
}

describeDocker("docker", () => engineContract({ name: "docker", setUp, refuses: [] }));
