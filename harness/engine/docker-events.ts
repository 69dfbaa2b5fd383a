import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { z } from "zod";
import type { Component, EngineEvent, EpochMs } from "../protocol.ts";
import { COMPOSE_PROJECT, COMPOSE_SERVICE } from "./labels.ts";

const eventSchema = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()).default({}) }),
  timeNano: z.number(),
});

type DockerEvent = z.output<typeof eventSchema>;

const ACTIONS: readonly EngineEvent["action"][] = [
  "start",
  "die",
  "kill",
  "stop",
  "pause",
  "unpause",
  "oom",
  "destroy",
  "connect",
  "disconnect",
];

/**
 * The engine's own event stream since `since`, narrowed to one project. Network events name a container's id and carry
 * no labels, so `networkChangeOf` looks them up.
 */
export async function* dockerEvents(
  docker: Docker,
  options: {
    readonly project: string;
    readonly network: string;
    readonly since: EpochMs;
    /** Whose attachment to the network was changed by this event; null = not ours, or no more than a start or end. */
    readonly networkChangeOf: (id: string, at: EpochMs) => Promise<Component | null>;
    readonly visible: (labels: Readonly<Record<string, string>>) => boolean;
  },
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  const stream = (await docker.getEvents({
    since: options.since / 1000,
    filters: { type: ["container", "network"] },
    abortSignal: signal,
  })) as Readable;
  const lastNetworkAction = new Map<string, string>();
  for await (const line of eventLines(stream, signal)) {
    const parsed = eventSchema.safeParse(JSON.parse(line));
    if (!parsed.success) continue;
    const event = parsed.data;
    const action = actionOf(event);
    if (action === null || isRepeated(event, lastNetworkAction)) continue;
    const component = await owner(event, options);
    if (component === null) continue;
    const exitCode = event.Actor.Attributes["exitCode"];
    yield {
      at: Math.round(event.timeNano / 1e6) as EpochMs,
      component,
      action,
      exitCode: action === "die" && exitCode !== undefined ? Number(exitCode) : null,
    };
  }
}

/** The lines of the engine's stream; closes it at the end, and ends when the signal aborts. */
export async function* eventLines(stream: Readable, signal: AbortSignal): AsyncGenerator<string> {
  const onAbort = (): void => void stream.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    yield* lines(stream);
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

type Owners = Pick<Parameters<typeof dockerEvents>[1], "project" | "network" | "networkChangeOf" | "visible">;

/** Docker reports one `disconnect` twice. */
function isRepeated({ Type, Action, Actor }: DockerEvent, last: Map<string, string>): boolean {
  if (Type !== "network") return false;
  const key = `${Actor.ID}/${Actor.Attributes["container"]}`;
  const repeated = last.get(key) === Action;
  last.set(key, Action);
  return repeated;
}

async function owner({ Type, Actor, timeNano }: DockerEvent, options: Owners): Promise<Component | null> {
  if (Type === "network") {
    const id = Actor.Attributes["container"];
    return Actor.Attributes["name"] === options.network && id !== undefined
      ? options.networkChangeOf(id, (timeNano / 1e6) as EpochMs)
      : null;
  }
  const labels = Actor.Attributes;
  if (labels[COMPOSE_PROJECT] !== options.project || !options.visible(labels)) return null;
  return (labels[COMPOSE_SERVICE] as Component | undefined) ?? null;
}

function actionOf({ Type, Action }: DockerEvent): EngineEvent["action"] | null {
  if (Action.startsWith("health_status")) return "health";
  // A network's own `destroy` is not a component's.
  if (Type === "network" && Action !== "connect" && Action !== "disconnect") return null;
  return ACTIONS.find((action) => action === Action) ?? null;
}

async function* lines(stream: Readable): AsyncGenerator<string> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    const parts = (rest + String(chunk)).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part.trim() !== "") yield part;
  }
}
