import type Docker from "dockerode";
import { errorText, HarnessError } from "../base/errors.ts";
import type { InstanceId } from "../protocol.ts";
import { statusOf } from "./docker-client.ts";
import { FrameReader } from "./docker-streams.ts";
import { COMPOSE_PROJECT, COMPOSE_SERVICE, INSTANCE_LABEL, PART_LABEL, SUPPORT_PART } from "./labels.ts";

/** A container of ours beside the subject's: the operator's engine does not know it, the instance's sweep does. */
export interface SupportOptions {
  readonly image: string;
  readonly instance: InstanceId;
  readonly network: string;
  readonly env: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  /** Its names in the network. */
  readonly aliases?: readonly string[];
  /** Port inside; Docker chooses one on this host's loopback. */
  readonly publish?: number;
  /** `host path:path inside[:ro]` */
  readonly binds?: readonly string[];
  readonly user?: string;
  readonly groups?: readonly string[];
  /** Everything that it prints, as it comes. */
  readonly output?: (bytes: Buffer, stream: "stdout" | "stderr") => void;
}

export interface SupportContainer extends AsyncDisposable {
  /** `host:port` of the published port. */
  readonly address: string | null;
  /** Never rejects. Code null = not known, e.g. removed by force. */
  readonly ended: Promise<{ readonly code: number | null; readonly why: string | null }>;
  /** SIGTERM, SIGKILL after `graceMs`; resolves when it has ended. Idempotent. */
  stop(graceMs: number): Promise<void>;
}

/** Starts it; disposing removes it. @throws what dockerode throws; nothing is left then. */
export async function startSupport(
  docker: Docker,
  options: SupportOptions,
  signal: AbortSignal,
): Promise<SupportContainer> {
  const { image, instance, network, env, command, aliases = [], publish, binds = [], user, groups = [] } = options;
  const port = publish === undefined ? null : `${publish}/tcp`;
  const container = await docker.createContainer({
    Image: image,
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: { [PART_LABEL]: SUPPORT_PART, [INSTANCE_LABEL]: instance },
    ...(command === undefined ? {} : { Cmd: [...command] }),
    ...(user === undefined ? {} : { User: user }),
    ...(port === null ? {} : { ExposedPorts: { [port]: {} } }),
    HostConfig: {
      Init: true,
      NetworkMode: network,
      Binds: [...binds],
      GroupAdd: [...groups],
      ...(port === null ? {} : { PortBindings: { [port]: [{ HostIp: "127.0.0.1", HostPort: "" }] } }),
    },
    NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [...aliases] } } },
  });
  const remove = () => container.remove({ force: true, v: true }).then(() => {}, unlessGone);
  try {
    const { ended } = await follow(container, options.output);
    await container.start({ abortSignal: signal });
    const { NetworkSettings } = await container.inspect();
    const published = port === null ? undefined : NetworkSettings.Ports[port]?.[0]?.HostPort;
    const stop = async (graceMs: number): Promise<void> => {
      await container.stop({ t: Math.ceil(graceMs / 1000) }).catch(unlessGone);
      await ended;
    };
    const address = published === undefined ? null : `127.0.0.1:${published}`;
    return { address, ended, stop, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    signal.throwIfAborted();
    throw error;
  }
}

/** A container that compose has made of one of our files. */
export interface ComposeContainer {
  /** As `SupportContainer`; all of its output has come by then. */
  readonly ended: SupportContainer["ended"];
  /** Null = it has no health check. */
  health(signal: AbortSignal): Promise<string | null>;
  running(signal: AbortSignal): Promise<boolean>;
  /** What it printed last, for a sentence about why it ended. */
  lastWords(lines: number): Promise<string>;
  stop(graceMs: number): Promise<void>;
}

/** @param output everything that it prints, from its start. @throws HarnessError `not-found` where there is none. */
export async function composeContainer(
  docker: Docker,
  { project, service, output }: { project: string; service: string; output?: SupportOptions["output"] },
  signal: AbortSignal,
): Promise<ComposeContainer> {
  const label = [`${COMPOSE_PROJECT}=${project}`, `${COMPOSE_SERVICE}=${service}`];
  const [found] = await docker.listContainers({ all: true, filters: { label }, abortSignal: signal });
  if (found === undefined)
    throw new HarnessError("not-found", `the project ${project} has no container for ${service}`);
  const container = docker.getContainer(found.Id);
  const { printed } = output === undefined ? { printed: Promise.resolve() } : await followLogs(container, output);
  const exit = container.wait() as Promise<{ readonly StatusCode: number }>;
  return {
    ended: exit.then(
      async ({ StatusCode: code }) => {
        await printed;
        return { code, why: null };
      },
      (error: unknown) => ({ code: null, why: errorText(error) }),
    ),
    health: async (within) => (await container.inspect({ abortSignal: within })).State.Health?.Status ?? null,
    running: async (within) => (await container.inspect({ abortSignal: within })).State.Running,
    async lastWords(lines) {
      const frames = new FrameReader();
      const bytes = await container.logs({ stdout: true, stderr: true, tail: lines });
      return frames
        .push(bytes)
        .map((frame) => frame.bytes.toString("utf8"))
        .join("")
        .trim();
    },
    stop: (graceMs) => container.stop({ t: Math.ceil(graceMs / 1000) }).then(() => {}, unlessGone),
  };
}

async function followLogs(
  container: Docker.Container,
  output: NonNullable<SupportOptions["output"]>,
): Promise<{ readonly printed: Promise<void> }> {
  const stream = await container.logs({ follow: true, stdout: true, stderr: true });
  const frames = new FrameReader();
  stream.on("data", (chunk: Buffer) => {
    for (const frame of frames.push(chunk)) output(frame.bytes, frame.stream);
  });
  const printed = new Promise<void>((done) => {
    for (const event of ["end", "error", "close"]) stream.once(event, () => done());
  });
  return { printed };
}

/** From before its start, so that nothing is missed. */
async function follow(
  container: Docker.Container,
  output: SupportOptions["output"],
): Promise<Pick<SupportContainer, "ended">> {
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const frames = new FrameReader();
  stream.on("data", (chunk: Buffer) => {
    for (const frame of frames.push(chunk)) output?.(frame.bytes, frame.stream);
  });
  const exit = container.wait({ condition: "next-exit" }) as Promise<{ readonly StatusCode: number }>;
  return {
    ended: exit.then(
      ({ StatusCode: code }) => ({ code, why: null }),
      (error: unknown) => ({ code: null, why: errorText(error) }),
    ),
  };
}

/** 304: stopped already; 404: removed; 409: its removal is in progress. */
function unlessGone(error: unknown): void {
  const status = statusOf(error);
  if (status !== 304 && status !== 404 && status !== 409) throw error;
}
