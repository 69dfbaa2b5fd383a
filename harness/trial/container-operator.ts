import { createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type Docker from "dockerode";
import { errorText, HarnessError } from "../base/errors.ts";
import { dockerClient, statusOf } from "../engine/docker-client.ts";
import { FrameReader } from "../engine/docker-streams.ts";
import { ensureImage } from "../engine/images.ts";
import { INSTANCE_LABEL, PART_LABEL, SUPPORT_PART } from "../engine/labels.ts";
import { ownImages } from "../engine/own-images.ts";
import { operatorEnvironment, type OperatorExit, type OperatorLauncher, type OperatorRun } from "./operator-run.ts";

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
    const own = operatorEnvironment(variant, instance, "network");
    const runbooks = variant.runbookDirs.map((folder, index) => `${folder}:${RUNBOOKS}/${index}:ro`);
    const env = {
      ...Object.fromEntries(
        PASSED_ON.flatMap((name) => (deps.env[name] === undefined ? [] : [[name, deps.env[name]]])),
      ),
      ...own,
      ...(runbooks.length === 0
        ? {}
        : { RUNBOOK_DIRS: variant.runbookDirs.map((_, index) => `${RUNBOOKS}/${index}`).join(":") }),
    };
    const { uid, gid } = { uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 };
    const container = await docker.createContainer({
      Image: ownImages.agent.tag,
      Cmd: [`${INSIDE}/${basename(given.tickets)}`, "--once"],
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      User: `${uid}:${gid}`,
      Labels: { [PART_LABEL]: SUPPORT_PART, [INSTANCE_LABEL]: instance.id },
      HostConfig: {
        Init: true,
        NetworkMode: own["NETWORK"] ?? instance.engine.network,
        Binds: [`${dirname(given.tickets)}:${INSIDE}`, `${SOCKET}:${SOCKET}`, ...runbooks],
        GroupAdd: [String(await socketGroup())],
      },
    });
    try {
      const { ended } = await follow(container, given.log);
      await container.start({ abortSignal: signal });
      return runOf(container, ended);
    } catch (error) {
      await container.remove({ force: true });
      signal.throwIfAborted();
      throw new HarnessError("operator-failed", "cannot start the operator's container", { cause: error });
    }
  };
}

function runOf(container: Docker.Container, ended: Promise<OperatorExit>): OperatorRun {
  const stop = async (graceMs: number): Promise<void> => {
    try {
      await container.stop({ t: Math.ceil(graceMs / 1000) });
    } catch (error) {
      if (statusOf(error) !== 304 && statusOf(error) !== 404) throw error;
    }
    await ended;
  };
  return {
    runsIn: "container",
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      await stop(5_000);
      await container.remove({ force: true, v: true });
    },
  };
}

/** From before its start, so that nothing is missed: its output goes to the log as it comes. */
async function follow(
  container: Docker.Container,
  logPath: string,
): Promise<{ readonly ended: Promise<OperatorExit> }> {
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const log = createWriteStream(logPath, { flags: "a" });
  const frames = new FrameReader();
  let stderr = "";
  stream.on("data", (chunk: Buffer) => {
    for (const frame of frames.push(chunk)) {
      log.write(frame.bytes);
      if (frame.stream === "stderr") stderr = (stderr + frame.bytes.toString("utf8")).slice(-4_000);
    }
  });
  const exit = container.wait({ condition: "next-exit" }) as Promise<{ readonly StatusCode: number }>;
  const ended = exit.then(
    ({ StatusCode: code }) => {
      log.end();
      return { code, error: code === 0 ? null : (stderr.trim().split("\n").at(-1) ?? "") };
    },
    (error: unknown) => {
      log.end();
      return { code: null, error: errorText(error) };
    },
  );
  return { ended };
}

/** The group that may use the engine's socket; on Docker Desktop it belongs to root inside, whatever it is here. */
async function socketGroup(): Promise<number> {
  if (process.platform !== "linux") return 0;
  return (await stat(SOCKET).catch(() => ({ gid: 0 }))).gid;
}
