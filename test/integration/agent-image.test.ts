import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "zx";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { ensureImage } from "../../harness/engine/images.ts";
import { INSTANCE_LABEL, PART_LABEL, SOURCE_LABEL } from "../../harness/engine/labels.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { randomIds } from "../../harness/base/ids.ts";
import type { InstanceId, SubjectInstance } from "../../harness/protocol.ts";
import { containerLauncher } from "../../harness/trial/container-operator.ts";
import { describeDocker } from "../support/docker.ts";
import { FORBIDDEN_WORDS, leaksIn } from "../support/leak-words.ts";

const { tag } = ownImages.agent;
const run = $({ quiet: true });

/** What the image must not contain, wherever it lies. */
const ANSWERS =
  /(^|\/)(faults|scenarios|trial|checkers|stats|store|monitor|view|cli|stand-in|invariants|workload|bench|test|docs)(\/|$)|own-images|docker-owner|docker-cut|\/control\/(main|compose-agent|audit|queue|proxy|server\/(gate|app))|\/panel\//;

/** Words of its own code that say nothing of being tried; file, then what the line contains. */
const ELSEWHERE: readonly (readonly [file: string, text: RegExp])[] = [
  // The published endings of a session.
  ["", /no-fault/],
  // Sentences for people at the command line, whose command has that name; the copy made of a foreign ticket file.
  ["tickets/", /`lab (ticket|session|approve) |version of the lab|before-agent-lab/],
];

describeDocker("the agent's image", () => {
  beforeAll(() => ensureImage(ownImages.agent, AbortSignal.timeout(110_000)));

  const inside = async (...argv: readonly string[]): Promise<string> => {
    const [program = "", ...args] = argv;
    return (await run({ nothrow: true })`docker run --rm --network none --entrypoint ${program} ${tag} ${args}`).stdout;
  };

  test("holds its own program, packages and the kit, and nothing that knows the answer", async () => {
    const files = (await inside("find", "/app", "-path", "/app/node_modules", "-prune", "-o", "-print")).split("\n");
    expect(files).toContain("/app/harness/agent/main.ts");
    expect(files).toContain("/app/subjects/tikv/kit/runbooks/store-stopped.yaml");
    expect(files.filter((file) => ANSWERS.test(file))).toEqual([]);
    const elsewhere = await inside(
      "find",
      "/home",
      "/opt",
      "/srv",
      "/root",
      "/tmp",
      "-newer",
      "/etc/os-release",
      "-type",
      "f",
    );
    expect(elsewhere).not.toMatch(/\.(ts|js|md|ya?ml|json)$/m);
  });

  test("does not say what it is for, in no file of ours", async () => {
    const found = await inside("grep", "-rniwE", `${FORBIDDEN_WORDS}|agent-lab`, "/app", "--exclude-dir=node_modules");
    const lines = found.split("\n").filter((line) => line !== "");
    expect(lines.length).toBeGreaterThan(5);
    const leaks = lines.filter((line) => {
      const [file = ""] = line.split(":", 1);
      return !ELSEWHERE.some(([where, text]) => file.startsWith(`/app/${where}`) && text.test(line));
    });
    expect(leaks).toEqual([]);
    // Third parties' packages may use any word but our name.
    expect(await inside("grep", "-rlI", "agent-lab", "/app/node_modules")).toBe("");
    expect(await inside("cat", "/app/package.json")).toBe('{"type":"module"}\n');
  });

  test("its name, labels, variables and history are neutral", async () => {
    const image = await (await dockerClient()).getImage(tag).inspect();
    expect(Object.keys(image.Config.Labels ?? {})).toEqual([SOURCE_LABEL]);
    const history = await run`docker history --no-trunc --format ${"{{.CreatedBy}}"} ${tag}`;
    const told = [
      { where: "name", text: tag },
      { where: "variables", text: (image.Config.Env ?? []).join("\n") },
      { where: "history", text: history.stdout.replaceAll(/io\.operator\.source=\w+|harness\/agent/g, "") },
    ];
    expect(leaksIn(told)).toEqual([]);
  });

  test("can do what it is for: the model's prompt is in it", async () => {
    const script =
      'import("/app/harness/agent/operators/claude/prompt.js").then(m=>m.loadPrompt()).then(p=>console.log(p.text))';
    expect(await inside("node", "-e", script)).toContain("You are the engineer on call");
  });

  describe("as a trial starts it", () => {
    const id = randomIds.hex(4) as InstanceId;
    const network = `tikv-${id}`;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "tickets-"));
      await run`docker network create ${network}`;
    });
    afterAll(async () => {
      await run({ nothrow: true })`docker network rm ${network}`;
      await rm(folder, { recursive: true, force: true });
    });

    test("it is given the tickets, the engine, addresses and its key, and nothing else of this machine", async () => {
      const signal = AbortSignal.timeout(60_000);
      const key = `sk-ant-canary-${id}`;
      const launch = containerLauncher({
        env: { ...process.env, ANTHROPIC_API_KEY: key, GITHUB_TOKEN: "canary", AGENT_LAB_HOME: "/canary" },
      });
      const instance = {
        id,
        engine: { network },
        operatorEnvironment: () => ({ ENGINE: `docker:tikv-${id}`, NETWORK: network, PD_URLS: "http://pd0:2379" }),
      } as unknown as SubjectInstance;
      const variant = { name: "runbook", mode: "execute", model: null, usdCap: null, runbookDirs: [] } as const;
      const given = {
        tickets: join(folder, "tickets.db"),
        log: join(folder, "operator.log"),
        control: null,
        victims: () => [],
      };
      await using operator = await launch(variant, instance, given, signal);
      const docker = await dockerClient();
      const filters = { label: [`${INSTANCE_LABEL}=${id}`] };
      const [listed] = await docker.listContainers({ all: true, filters });
      if (listed === undefined) throw new Error("it does not run");
      const { Config, Mounts, Name, HostConfig } = await docker.getContainer(listed.Id).inspect();
      const image = await docker.getImage(tag).inspect();
      const env = Config.Env.filter((entry) => !image.Config.Env?.includes(entry));
      expect(env.map((entry) => entry.split("=")[0]).sort()).toEqual(
        [
          ...[
            "ANTHROPIC_API_KEY",
            "COMPOSE_AGENT_ENABLED",
            "ENGINE",
            "INSTANCE_ID",
            "NETWORK",
            "OPERATOR",
            "OPERATOR_SAFETY_MODE",
            "PD_URLS",
          ],
          ...Object.keys(process.env).filter((name) => name === "ANTHROPIC_BASE_URL"),
        ].sort(),
      );
      expect(leaksIn([{ where: "variables and name", text: `${env.join("\n")} ${Name}` }])).toEqual([]);
      expect(Mounts.map(({ Source, Destination }) => [Source, Destination]).sort()).toEqual(
        [
          [folder, "/home/node/.operator"],
          ["/var/run/docker.sock", "/var/run/docker.sock"],
        ].sort(),
      );
      const ours = Object.keys(Config.Labels).filter((name) => name !== SOURCE_LABEL);
      expect(ours.sort()).toEqual([INSTANCE_LABEL, PART_LABEL].sort());
      expect([HostConfig.Privileged, HostConfig.PidMode, HostConfig.CapAdd]).toEqual([false, "", null]);
      await operator.stop(5_000);
    });
  });
});
