import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { COMPOSE_PROJECT, COMPOSE_SERVICE, INSTANCE_LABEL } from "../../harness/engine/labels.ts";
import { randomIds } from "../../harness/base/ids.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import { deployDocker } from "../../subjects/tikv/adapter-docker.ts";
import { composeProject } from "../support/compose-project.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { containerControl } from "../../harness/trial/container-control.ts";
import { leakDeps, leakSuite } from "./leak.suite.ts";

/** What the clients' program, the engine's socket or this machine would answer. */
const BEYOND = /"operations"|"complete"|"outcome"|ApiVersion|docker\.sock|sk-ant|ANTHROPIC|AGENT_LAB/;
const curl = (...args: readonly string[]) => ["curl", "-s", "-m", "3", ...args];
const clients = "http://workload:9300";

describeDocker("on Docker, with our images", () => {
  leakSuite({
    async deploy(root, signal) {
      Object.assign(process.env, await standInImages());
      const id = randomIds.hex(4) as InstanceId;
      const stateDir = join(root, "instances", id);
      mkdirSync(stateDir, { recursive: true });
      const project = `tikv-${id}`;
      return await deployDocker(
        { engine: "docker", id, stateDir, project, network: project, timeFactor: 1 },
        leakDeps,
        signal,
      );
    },
    control: containerControl(leakDeps, { env: {}, attach: () => Promise.resolve() }),
    async bystanders(instance, signal) {
      const docker = await dockerClient();
      const other = await composeProject(`  elsewhere: { image: "debian:bookworm-slim", command: sleep 1000 }\n`);
      await other.compose.up({}, signal);
      const labelled = (label: string) => docker.listContainers({ all: true, filters: { label: [label] } });
      const foreign = await labelled(`${COMPOSE_PROJECT}=${other.name}`);
      const own = await labelled(`${INSTANCE_LABEL}=${instance.id}`);
      // Of ours beside the cluster: the clients.
      const support = own.filter(({ Labels }) => Labels[COMPOSE_SERVICE] === undefined);
      if (foreign.length !== 1 || support.length !== 1) throw new Error("the test found no bystanders");
      const ids = [...foreign, ...support].map(({ Id }) => Id);
      // A component has one name; its container's name and id are none.
      const names = [...foreign, ...support, ...own.slice(0, 1)].flatMap(({ Id, Names }) => [
        Id.slice(0, 12),
        Id.slice(0, 63),
        ...Names.map((name) => name.replace(/^\//, "")),
      ]);
      return {
        names: ["elsewhere", "operator-agent", ...names],
        state: async () => {
          const found = await Promise.all(ids.map((id) => docker.getContainer(id).inspect()));
          const { Containers: inBridge } = (await docker.getNetwork("bridge").inspect()) as { Containers: unknown };
          return {
            inBridge,
            states: found.map(({ Id, State, NetworkSettings }) => [Id, State, NetworkSettings.Networks]),
          };
        },
        [Symbol.asyncDispose]: () => other[Symbol.asyncDispose](),
      };
    },
    escapes: [
      { argv: curl(`${clients}/metrics`), not: BEYOND, but: /client_requests_total/ },
      ...[
        curl("-i", `${clients}/history`),
        curl("-i", `${clients}/window?ms=1000`),
        curl("-i", "-X", "POST", `${clients}/stop`),
        curl("-i", "-X", "POST", `${clients}/readback`),
        curl("-i", "-H", "authorization: Bearer x", `${clients}/time`),
      ].map((argv) => ({ argv, not: BEYOND, but: /404 Not Found/ })),
      { argv: curl("--unix-socket", "/var/run/docker.sock", "http://x/version"), not: BEYOND, but: /exit code 7/ },
      { argv: curl("http://host.docker.internal:2375/version"), not: BEYOND, but: /exit code 6/ },
      { argv: ["ls", "-la", "/run", "/var/run"], not: BEYOND },
      { argv: ["sh", "-c", "cat /proc/*/environ | tr '\\0' ' '"], not: BEYOND, but: /PATH=/ },
      { argv: ["sh", "-c", "cat /proc/*/mountinfo"], not: BEYOND, but: /\/etc\/(pd|tikv)\.toml/ },
      { argv: ["sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '"], not: BEYOND, but: /advertise/ },
      { argv: ["node", "-p", "process.env"], not: BEYOND, but: /PATH/ },
      { argv: ["echo", "$(cat /proc/1/environ)"], not: BEYOND, but: /\$\(cat/ },
      { argv: ["find", "/", "-xdev", "-newer", "/etc/hostname", "-type", "f"], not: BEYOND },
    ],
  });
});
