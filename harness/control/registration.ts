/**
 * Being known to the panel: a program registers at DASHBOARD_URL with what it can do, and beats. A panel that is down,
 * slow or wrong costs a log line when that changes, and nothing else: nobody waits for it.
 */
import { z } from "zod";
import { withDeadline } from "../base/deadline.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import type { Deps, Engine } from "../protocol.ts";
import { PARTS, signAssertion, type Asserted, type Part } from "./assertion.ts";
import type { Plane } from "./planes.ts";
import type { TokenRecord } from "./tokens/types.ts";

/** Where the panel hears the parts of the deployment, unless DASHBOARD_URL says otherwise. */
export const DEFAULT_DASHBOARD_URL = "http://statuspanel:8703";
/** A part that has not been heard of for `GONE_AFTER_BEATS` times this is shown as gone. */
export const BEAT_EVERY_MS = 3_000;
export const GONE_AFTER_BEATS = 4;

const ANSWER_MS = 2_000;
const MAX_WAIT_MS = 30_000;
/** An assertion is replaced this long before it ends. */
const RENEW_BEFORE_MS = 60_000;

const component = z.strictObject({
  component: z.string().max(64),
  status: z.string().max(32),
  health: z.string().max(32),
  restartCount: z.number().int().min(0),
});
export type ComponentStatus = Readonly<z.output<typeof component>>;

const event = z.strictObject({
  at: z.number().int(),
  target: z.string().max(64),
  kind: z.string().max(64),
  text: z.string().max(1_000),
});

/** What a beat may say besides "I am alive". Everything is bounded, since the panel keeps it in memory. */
export const statusSchema = z.strictObject({
  /** Of who holds an engine: the cluster as it sees it; see `clusterStatus`. */
  cluster: z.array(component).max(200).optional(),
  /** One line for people, e.g. "works on incident 3f2a". */
  doing: z.string().max(300).optional(),
  /** Watchdog: what it thinks of each target. */
  targets: z
    .array(z.strictObject({ target: z.string().max(64), state: z.string().max(64), reason: z.string().max(500) }))
    .max(20)
    .optional(),
  /** Watchdog: its latest decisions, newest last. */
  events: z.array(event).max(50).optional(),
});
export type PartStatus = Readonly<z.output<typeof statusSchema>>;

/** `POST /api/v1/agents/register`. */
export const registrationSchema = z.strictObject({
  agent_id: z.string().min(1).max(128),
  deployment_hash: z.string().min(1).max(128),
  part: z.enum(PARTS),
  version: z.string().max(64),
  /** As `/capabilities`: does the compose-agent handle the containers? */
  compose_agent: z.boolean(),
  control_plane: z.string().max(64),
  /** Commands and abilities, e.g. `docker`, `restart`, `ticket_hold`. */
  features: z.array(z.string().max(64)).max(100),
  status: statusSchema,
});
export type Registration = Readonly<z.output<typeof registrationSchema>>;

/** `POST /api/v1/agents/heartbeat`. The panel answers 404 to one whom it does not know, and that one registers. */
export const heartbeatSchema = z.strictObject({ agent_id: z.string().min(1).max(128), status: statusSchema });

export interface RegistrationOptions {
  /** DASHBOARD_URL. */
  readonly url: string | ((signal: AbortSignal) => Promise<string>);
  readonly part: Part;
  readonly agentId: string;
  readonly deploymentHash: string;
  readonly version: string;
  readonly composeAgent: boolean;
  readonly controlPlane: Plane;
  /** Asked at each registration, since what is there is probed. */
  features(): readonly string[];
  /** Asked at each beat; what it throws costs the status of that beat. */
  status(signal: AbortSignal): Promise<PartStatus>;
  readonly assertions: Assertions;
  readonly everyMs?: number;
}

/** Where assertions come from. */
export interface Assertions {
  /** One that is good for a while. @throws when there is none to be had. */
  current(signal: AbortSignal): Promise<string>;
  /** The panel did not take it. */
  forget(): void;
}

/** For programs that hold the `status_panel` token themselves. */
export function ownAssertions(
  who: Omit<Asserted, "holder">,
  token: () => TokenRecord | null,
  deps: Pick<Deps, "clock" | "ids">,
): Assertions {
  return {
    current: () => {
      const record = token();
      if (record === null) return Promise.reject(new HarnessError("not-found", "there is no token to sign with"));
      return Promise.resolve(signAssertion({ ...who, holder: true }, record.token, deps).assertion);
    },
    forget: () => {},
  };
}

/** For the agent, which holds no token that the panel knows: `ask` is the control client's. */
export function askedAssertions(
  ask: (signal: AbortSignal) => Promise<{ readonly assertion: string; readonly expiresAt: number }>,
  { clock }: Pick<Deps, "clock">,
): Assertions {
  let held: { readonly assertion: string; readonly expiresAt: number } | null = null;
  return {
    current: async (signal) => {
      if (held === null || held.expiresAt - RENEW_BEFORE_MS <= clock.now()) held = await ask(signal);
      return held.assertion;
    },
    forget: () => void (held = null),
  };
}

/** What whoever holds an engine tells of the cluster. @throws EngineError as `Engine.list`. */
export async function clusterStatus(engine: Pick<Engine, "list">, signal: AbortSignal): Promise<PartStatus> {
  const states = await engine.list(signal);
  return {
    cluster: states.map(({ component: name, status, health, restartCount }) => ({
      component: name,
      status,
      health,
      restartCount,
    })),
  };
}

/** Registers and beats until the signal aborts. Never throws. */
export async function keepRegistered(
  options: RegistrationOptions,
  deps: Pick<Deps, "clock" | "random" | "log" | "fetch">,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, log } = deps;
  const everyMs = options.everyMs ?? BEAT_EVERY_MS;
  let known = false;
  let heard: boolean | null = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      known = await beat(options, known, deps, signal);
      failures = 0;
      if (heard !== true) log.info("panel.registered", { agentId: options.agentId });
      heard = true;
    } catch (error) {
      if (signal.aborted) return;
      known = false;
      failures++;
      if (heard !== false) log.warn("panel.unreachable", { why: errorText(error) });
      heard = false;
    }
    const waitMs = Math.min(MAX_WAIT_MS, everyMs * 2 ** Math.min(failures, 5)) * (1 + random.next() / 10);
    await clock.sleep(waitMs, signal).catch(() => {});
  }
}

/** @returns whether the panel knows us now. */
async function beat(
  options: RegistrationOptions,
  known: boolean,
  deps: Pick<Deps, "clock" | "log" | "fetch">,
  signal: AbortSignal,
): Promise<boolean> {
  const status = await options.status(signal).catch((error: unknown) => {
    deps.log.debug("panel.no-status", { why: errorText(error) });
    return {};
  });
  if (known) {
    const answer = await post(options, "heartbeat", { agent_id: options.agentId, status }, deps, signal);
    if (answer !== 404) return true;
  }
  const registration: Registration = {
    agent_id: options.agentId,
    deployment_hash: options.deploymentHash,
    part: options.part,
    version: options.version,
    compose_agent: options.composeAgent,
    control_plane: options.controlPlane,
    features: [...options.features()],
    status,
  };
  await post(options, "register", registration, deps, signal);
  return true;
}

/** @returns 200 or 404. @throws HarnessError `api-failed`, `timeout`; whatever fetch threw. */
async function post(
  { url: place, assertions }: RegistrationOptions,
  what: "register" | "heartbeat",
  body: unknown,
  { clock, fetch }: Pick<Deps, "clock" | "fetch">,
  signal: AbortSignal,
): Promise<200 | 404> {
  const status = await withDeadline(clock, { ms: ANSWER_MS, what: "the panel", signal }, async (inner) => {
    const url = typeof place === "string" ? place : await place(inner);
    const assertion = await assertions.current(inner);
    const response = await fetch(new URL(`/api/v1/agents/${what}`, url), {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Assertion ${assertion}` },
      body: JSON.stringify(body),
      redirect: "error",
      signal: inner,
    });
    await response.body?.cancel();
    return response.status;
  });
  if (status === 200 || (status === 404 && what === "heartbeat")) return status;
  assertions.forget();
  throw new HarnessError("api-failed", `the panel answered ${status}`);
}
