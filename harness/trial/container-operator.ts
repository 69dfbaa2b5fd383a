import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { HarnessError } from "../base/errors.ts";
import { dockerClient } from "../engine/docker-client.ts";
import { startSupport, type SupportContainer } from "../engine/docker-support.ts";
import { ensureImage } from "../engine/images.ts";
import { ownImages } from "../engine/own-images.ts";
import { OperatorOutput } from "./operator-output.ts";
import { operatorEnvironment, type OperatorLauncher, type OperatorRun } from "./operator-run.ts";

const SOCKET = "/var/run/docker.sock";
/** Where the ticket file's folder and the user's runbooks are inside. */
const INSIDE = "/home/node/.operator";
const RUNBOOKS = "/home/node/runbooks";

/** The variables of ours that the container gets besides those of `operatorEnvironment`. */
const PASSED_ON = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"];

/**
 * The agent's program in the agent image, on the cluster's network, with the trial's own ticket folder and the engine's
 * socket, as the user who runs us. It reaches the internet, for the model.
 */
export function containerLauncher(deps: {
  readonly env: Readonly<Record<string, string | undefined>>;
}): OperatorLauncher {
  return async (variant, instance, given, signal) => {
    const docker = await dockerClient(deps.env);
    await ensureImage(ownImages.agent, signal);
    const inside = variant.runbookDirs.map((_, index) => `${RUNBOOKS}/${index}`);
    const passed = PASSED_ON.flatMap((name) => (deps.env[name] === undefined ? [] : [[name, deps.env[name]] as const]));
    const output = new OperatorOutput(given.log);
    const options = {
      image: ownImages.agent.tag,
      instance: instance.id,
      network: instance.engine.network,
      command: [`${INSIDE}/${basename(given.tickets)}`, "--once"],
      env: {
        ...Object.fromEntries(passed),
        ...operatorEnvironment({ ...variant, runbookDirs: inside }, instance, "network", null),
      },
      user: `${process.getuid?.() ?? 1000}:${process.getgid?.() ?? 1000}`,
      groups: [String(await socketGroup())],
      binds: [
        `${dirname(given.tickets)}:${INSIDE}`,
        `${SOCKET}:${SOCKET}`,
        ...variant.runbookDirs.map((folder, index) => `${folder}:${inside[index]}:ro`),
      ],
      output: (bytes: Buffer, stream: "stdout" | "stderr") => output.take(bytes, stream),
    };
    const container = await startSupport(docker, options, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new HarnessError("operator-failed", "cannot start the operator's container", { cause });
    });
    return await output.listening(runOf(container, output), signal);
  };
}

function runOf(container: SupportContainer, output: OperatorOutput): OperatorRun {
  const ended = container.ended.then(({ code, why }) => output.exit(code, why));
  return {
    runsIn: "container",
    ended,
    stop: (graceMs) => container.stop(graceMs),
    async [Symbol.asyncDispose]() {
      await container.stop(5_000);
      await container[Symbol.asyncDispose]();
    },
  };
}

/** The group that may use the engine's socket; on Docker Desktop it belongs to root inside, whatever it is here. */
async function socketGroup(): Promise<number> {
  if (process.platform !== "linux") return 0;
  return (await stat(SOCKET).catch(() => ({ gid: 0 }))).gid;
}
