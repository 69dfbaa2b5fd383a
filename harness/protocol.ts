/**
 * The contracts. Types only: nothing here runs. Every part of the lab meets the others through these, so a second
 * subject, engine, operator or fault needs no change here.
 */
import type { z } from "zod";
import type { Clock, EpochMs } from "./base/clock.ts";
import type { Ids } from "./base/ids.ts";
import type { Log } from "./base/log.ts";
import type { Random } from "./base/random.ts";
import type { SafetyMode } from "./base/safety-mode.ts";

export type { Clock, EpochMs, Ids, Log, Random, SafetyMode };

/** Where something runs inside a subject, e.g. `tikv1`, `pd0`. Never a container name or id. */
export type Component = string & { readonly __brand: "Component" };

/** One running copy of a subject: opaque hex. Tickets, journals, locks and labels carry it. */
export type InstanceId = string & { readonly __brand: "InstanceId" };

/** What the wiring in `harness/cli` builds once and hands down. */
export interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: Log;
  readonly fetch: typeof globalThis.fetch;
}

// ------------------------------------------------------------------------------------------------ engine

export type EngineKind = "docker" | "process";

export interface ContainerState {
  readonly component: Component;
  /** The engine's own name for it, e.g. `tikv-tikv1-1`. */
  readonly name: string;
  readonly image: string;
  readonly status: "running" | "paused" | "restarting" | "exited" | "created" | "missing";
  /** Differs after every start: tells a restart from a pause. */
  readonly startedAt: EpochMs | null;
  readonly finishedAt: EpochMs | null;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** Restarts by the engine's own policy since the container was created. */
  readonly restartCount: number;
  readonly health: "healthy" | "unhealthy" | "starting" | "none";
  /** Networks that it is attached to; empty = cut off. */
  readonly networks: readonly string[];
  readonly limits: { readonly cpus: number | null; readonly memoryBytes: number | null };
  readonly restartPolicy: { readonly name: "no" | "always" | "on-failure" | "unless-stopped"; readonly max: number };
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** True when one of the outputs was cut at the bound. */
  readonly truncated: boolean;
}

export interface LogLine {
  readonly stream: "stdout" | "stderr";
  /** When the engine received it; null where the engine does not know. */
  readonly at: EpochMs | null;
  readonly text: string;
}

export interface ContainerStats {
  /** Cores in use, e.g. 0.4. */
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number | null;
}

export interface EngineEvent {
  readonly at: EpochMs;
  readonly component: Component;
  readonly action:
    "start" | "die" | "kill" | "stop" | "pause" | "unpause" | "oom" | "destroy" | "connect" | "disconnect" | "health";
  readonly exitCode: number | null;
}

/**
 * The one way to the containers of *one* instance; `docker` and `process` pass the same contract suite. Containers are
 * found by label at each call, never by guessing names; whatever does not belong to the instance does not exist for it.
 * Every act is idempotent where the state already is what was asked for (start of a running one, unpause of a running
 * one: no error).
 *
 * Every method throws `EngineError`: `not-found` (no such component), `not-supported` (this engine can never do it,
 * named), `wrong-state` (pause, unpause or exec of a stopped one, exec in a paused one), `engine-unreachable`,
 * `engine-permission`, `timeout`. Logs, stats and inspection work in every state; a stopped one's stats are zero.
 */
export interface Engine extends AsyncDisposable {
  readonly kind: EngineKind;
  /** Name of the instance's own network. */
  readonly network: string;
  list(signal: AbortSignal): Promise<readonly ContainerState[]>;
  inspect(component: Component, signal: AbortSignal): Promise<ContainerState>;
  start(component: Component, signal: AbortSignal): Promise<void>;
  /** SIGTERM, then SIGKILL after `graceMs` (default: the container's own). A manual stop for every restart policy. */
  stop(component: Component, options: { readonly graceMs?: number }, signal: AbortSignal): Promise<void>;
  /** Default SIGKILL. Like `stop`, a manual stop for every restart policy. */
  kill(component: Component, options: { readonly signalName?: string }, signal: AbortSignal): Promise<void>;
  restart(component: Component, options: { readonly graceMs?: number }, signal: AbortSignal): Promise<void>;
  pause(component: Component, signal: AbortSignal): Promise<void>;
  unpause(component: Component, signal: AbortSignal): Promise<void>;
  /** Runs an argv, never a shell line. The process engine accepts a closed list of programs. */
  exec(
    component: Component,
    argv: readonly string[],
    options: { readonly timeoutMs: number; readonly maxBytes?: number },
    signal: AbortSignal,
  ): Promise<ExecResult>;
  /** Oldest first. */
  logs(
    component: Component,
    options: { readonly tail?: number; readonly since?: EpochMs },
    signal: AbortSignal,
  ): Promise<readonly LogLine[]>;
  stats(component: Component, signal: AbortSignal): Promise<ContainerStats>;
  /** Without `aliases` it puts back those that the component had when it was disconnected (or its service name). */
  connect(component: Component, options: { readonly aliases?: readonly string[] }, signal: AbortSignal): Promise<void>;
  disconnect(component: Component, signal: AbortSignal): Promise<void>;
  update(
    component: Component,
    limits: { readonly cpus?: number | null; readonly memoryBytes?: number | null; readonly restartPolicy?: string },
    signal: AbortSignal,
  ): Promise<void>;
  /** Same volumes and settings, new container; `image` swaps the image. */
  recreate(component: Component, options: { readonly image?: string }, signal: AbortSignal): Promise<void>;
  /** From now on, until aborted. Ends (does not throw) when the signal aborts. */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
}

/** What only the owner of an instance may do; the operator's engine does not have it. */
export interface Crashable {
  /** The component's own process dies as if by a bug (SIGKILL from inside), so the restart policy applies. */
  crash(component: Component, signal: AbortSignal): Promise<void>;
}

/** Network harm between named peers, made from outside the containers. */
export interface Partitionable {
  /** Nothing passes between `component` and `peers` (everyone when omitted), in either direction; nobody is told. */
  cut(component: Component, options: { readonly peers?: readonly Component[] }, signal: AbortSignal): Promise<void>;
  /** Undoes every cut of this component. Idempotent. */
  mend(component: Component, signal: AbortSignal): Promise<void>;
}

/** The owner's engine: everything the operator's has, and the means to harm. */
export interface OwnerEngine extends Engine, Crashable, Partial<Partitionable> {}

// ------------------------------------------------------------------------------------------------ subject

export interface ComponentInfo {
  readonly component: Component;
  /** e.g. `pd`, `tikv`, `metrics`. Derived from what the component says it is, not from its name. */
  readonly role: string;
}

/** Where each service answers, seen from one place. URLs for HTTP, `host:port` for the rest. */
export interface Endpoints {
  readonly view: "host" | "network";
  /** By component, then by service (`client`, `peer`, `status`, `http`). */
  readonly byComponent: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Addresses that the subject advertises -> address to dial from this view. The only address book there is. */
  readonly advertised: Readonly<Record<string, string>>;
  readonly prometheusUrl: string | null;
}

/** Data, or the reason why there is none. There is no third case, and no default. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T; readonly at: EpochMs }
  | { readonly ok: false; readonly why: string; readonly at: EpochMs };

/** One snapshot. Every *configured* source has a reading; a source that is not configured has no key. Immutable. */
export interface Observation {
  readonly at: EpochMs;
  readonly monotonicMs: number;
  readonly sources: Readonly<Record<string, Reading<unknown>>>;
}

export type Severity = "warning" | "critical";

export type Judgement =
  | { readonly state: "held"; readonly component: Component | null }
  | { readonly state: "unknown"; readonly component: Component | null; readonly why: string }
  | {
      readonly state: "violated";
      readonly component: Component | null;
      readonly severity: Severity;
      /** What was *seen*, never what was done: "tikv1 does not answer; 29 % of client operations fail". */
      readonly message: string;
      readonly evidence: unknown;
    };

/**
 * Pure: the same window gives the same judgements. The window is never empty, oldest first, at least `windowMs` long
 * once the monitor has run that long. Missing data is `unknown`, never `held`.
 */
export interface Invariant<O extends Observation = Observation> {
  readonly name: string;
  readonly description: string;
  /** How long it must be violated before a ticket is opened. */
  readonly graceMs: number;
  /** How long it must hold before its ticket is resolved. */
  readonly clearMs: number;
  /** How much history `judge` looks at. */
  readonly windowMs: number;
  judge(window: readonly O[]): readonly Judgement[];
}

/** "As new", as a digest over what is listed: data folders, configuration, membership, images. */
export interface Attestation {
  readonly digest: string;
  readonly parts: Readonly<Record<string, string>>;
}

/**
 * A running copy of a subject. Disposing an owned one tears it down; disposing an attached one only lets go. All
 * methods may be called while components are broken.
 */
export interface SubjectInstance<O extends Observation = Observation> extends AsyncDisposable {
  readonly id: InstanceId;
  readonly subject: string;
  readonly owned: boolean;
  /** What people are told: "TiKV stand-in", "TiKV 8.5.5 (Docker)". Never shown to the operator. */
  readonly title: string;
  readonly standIn: boolean;
  /** Factor on the subject's own timers and on grace and clear periods; 1 unless it is a stand-in told otherwise. */
  readonly timeFactor: number;
  /** What it runs, for the record and for baseline keys: images with digests, or a digest of the stand-in's sources. */
  readonly build: string;
  readonly engine: OwnerEngine;
  readonly components: readonly ComponentInfo[];
  endpoints(view: "host" | "network"): Endpoints;
  /**
   * What the program of an operator that runs at `view` is told of this instance, as environment variables: `ENGINE`
   * (`unix:<socket>` or `docker:<project>`), `ENDPOINTS` (JSON), and the subject's own, e.g. `PD_URLS`,
   * `PROMETHEUS_URL`. Neutral words only.
   */
  operatorEnvironment(view: "host" | "network"): Readonly<Record<string, string>>;
  readonly invariants: readonly Invariant<O>[];
  /** Never throws for a broken subject: every source that fails becomes a reading with its reason. */
  observe(signal: AbortSignal): Promise<O>;
  /** Resolves when the subject is as its steady state asks. @throws SubjectError naming what is missing. */
  waitReady(options: { readonly timeoutMs: number }, signal: AbortSignal): Promise<void>;
  startWorkload(options: WorkloadOptions, signal: AbortSignal): Promise<Workload>;
  attest(signal: AbortSignal): Promise<Attestation>;
  /** Components that satisfy a scenario's predicate now, e.g. `leads-region`, `pd-leader`, `pd-follower`, `any-store`. */
  candidates(predicate: string, signal: AbortSignal): Promise<readonly Component[]>;
  /** How many regions (shards) each component leads, for people; left out where the idea does not apply. */
  leaders?(signal: AbortSignal): Promise<ReadonlyMap<Component, number>>;
  /** Components' logs into a folder, one file each. */
  collectLogs(folder: string, signal: AbortSignal): Promise<void>;
}

/** How an instance is started or found. One per subject, registered in `harness/cli`. */
export interface SubjectAdapter<O extends Observation = Observation> {
  readonly name: string;
  readonly engines: readonly EngineKind[];
  /** @throws HarnessError naming what is missing; leaves nothing half-started. */
  deploy(options: DeployOptions, deps: Deps, signal: AbortSignal): Promise<SubjectInstance<O>>;
  /** Somebody else's: nothing is started, nothing is ever torn down. */
  attach(options: AttachOptions, deps: Deps, signal: AbortSignal): Promise<SubjectInstance<O>>;
}

export interface DeployOptions {
  readonly engine: EngineKind;
  readonly id: InstanceId;
  /** Folder of the instance: node folders, sockets, the owner's lock, the injection journal. */
  readonly stateDir: string;
  /** Compose project and network; `tikv-<hex>` for a trial. */
  readonly project: string;
  readonly network: string;
  readonly timeFactor: number;
  readonly ports?: Readonly<Record<string, number>>;
}

export interface AttachOptions {
  readonly engine: EngineKind;
  readonly project: string;
  readonly id: InstanceId;
  readonly pdUrls?: readonly string[];
  readonly prometheusUrl?: string;
  /** Folder that the caller has claimed, where it means to harm: a later process finds there what is to be healed. */
  readonly stateDir?: string;
}

// ------------------------------------------------------------------------------------------------ workload

export interface WorkloadOptions {
  readonly seed: number;
  /** Operations that all clients together start per second. */
  readonly ratePerSecond: number;
  readonly clients: number;
  readonly keyPrefix: string;
  /** Per operation; after it the outcome is unknown. */
  readonly deadlineMs: number;
}

/**
 * What a client tried and what came of it. `unknown` may or may not have happened, also later. `failed` is used only
 * when it certainly did not happen. Times are on the monotonic clock of the *reader* once it has been read.
 */
export interface Operation {
  readonly client: number;
  readonly kind: "write" | "read";
  readonly key: string;
  /** Written, or read; null = absent or not known. */
  readonly value: string | null;
  readonly outcome: "ok" | "failed" | "unknown";
  readonly startedMs: number;
  readonly endedMs: number;
  /** Class of what went wrong last, e.g. `deadline`, `not_leader`, `unavailable`. */
  readonly error: string | null;
}

/** What clients saw over a window that ends now. Ratio and quantile are null when nothing was tried. */
export interface ClientWindow {
  readonly windowMs: number;
  readonly operations: number;
  readonly okRatio: number | null;
  readonly p99Ms: number | null;
}

export interface Workload extends AsyncDisposable {
  readonly metricsUrl: string;
  window(windowMs: number, signal: AbortSignal): Promise<ClientWindow>;
  /** All completed operations, in order of completion, as they happen; ends after `stop`. May be called once. */
  history(signal: AbortSignal): AsyncIterable<Operation>;
  /** No new operations; resolves when the last one has ended. */
  stop(signal: AbortSignal): Promise<void>;
  /** Every key that was ever written, read back by a fresh client; null = could not be read in time. */
  readBack(options: { readonly timeoutMs: number }, signal: AbortSignal): Promise<ReadonlyMap<string, string> | null>;
}

// ------------------------------------------------------------------------------------------------ faults

/**
 * One reversible harm. `inject` is called once, after its intent is on disk in the journal; `heal` any number of
 * times, also by a later process that has only the journal. A fault never decides when to run and never touches
 * tickets, tools or verdicts.
 */
export interface Fault {
  readonly kind: string;
  /** What people read: "SIGKILL", "frozen (SIGSTOP)". Never shown to the operator. */
  readonly label: string;
  /** False = only on owned instances. */
  readonly reversible: boolean;
  /** Says why it cannot run here, or null. Must not change anything. */
  preflight(signal: AbortSignal): Promise<string | null>;
  inject(signal: AbortSignal): Promise<void>;
  /** True once the harm can be observed from outside (`in-effect`) or no longer can (`gone`). */
  verify(expected: "in-effect" | "gone", signal: AbortSignal): Promise<boolean>;
  heal(signal: AbortSignal): Promise<void>;
}

/** Built from data alone, so that a later process can heal what a dead one injected. */
export interface FaultSpec {
  readonly kind: string;
  readonly target: Component;
  /** Numbers with units in their names, e.g. `delayMs`. */
  readonly params: Readonly<Record<string, number>>;
}

export type FaultFactory = (spec: FaultSpec, engine: OwnerEngine, deps: Deps) => Fault;

// ------------------------------------------------------------------------------------------------ scenario

/** What was diagnosed: a class of the published list, and where. */
export interface Diagnosis {
  readonly cause: string;
  /** Roles, e.g. `tikv1`; in scenarios `$victim` stands for what the fault hit. Empty = the whole cluster. */
  readonly components: readonly string[];
}

/** One tolerance over what a probe returns. All must hold for the hypothesis to hold. */
export type Predicate =
  | { readonly kind: "client-success"; readonly atLeast: number; readonly windowMs: number }
  | { readonly kind: "client-p99"; readonly atMostMs: number; readonly windowMs: number }
  | { readonly kind: "invariant"; readonly name: string };

/** One act of the `oracle` operator, in the words of the tools. */
export interface OracleStep {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Data only. Durations in ms; they are the lab's own limits, never scaled by the time factor. */
export interface Scenario {
  /** `<group>/<name>`, e.g. `tikv/store-kill`. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly subject: string;
  readonly engines: readonly EngineKind[];
  /** A control has no fault: pass = no write and ended `no-fault`. */
  readonly control: boolean;
  readonly faults: readonly {
    readonly kind: string;
    /** Predicate that the victim must satisfy; chosen by seed among those that do. */
    readonly target: string;
    readonly params: Readonly<Record<string, number>>;
    readonly atMs: number;
  }[];
  /** For controls: a ticket whose violation never was. `atMs` after the steady state held. */
  readonly ticket: {
    readonly invariant: string;
    readonly target: string;
    readonly severity: Severity;
    readonly message: string;
    readonly atMs: number;
  } | null;
  readonly hypothesis: readonly Predicate[];
  readonly accepts: readonly Diagnosis[];
  /** Components that the operator may act on; everything else touched is collateral. */
  readonly mayTouch: readonly string[];
  readonly oracle: readonly OracleStep[];
  readonly limits: {
    readonly steadyMs: number;
    readonly ticketMs: number;
    readonly operatorMs: number;
    /** How long the hypothesis must hold again, without a break, to count as stable. */
    readonly stableMs: number;
    /** How long recovery may take after the operator ended. */
    readonly recoverMs: number;
  };
  readonly workload: WorkloadOptions;
}

// ------------------------------------------------------------------------------------------------ operator and tools

export type Effect = "read" | "write" | "destructive";

/** What a tool returns: text for the model, and the whole of it for the audit. */
export interface ToolResult {
  readonly text: string;
  readonly isError: boolean;
  /** Set by `wait` and reads: nothing was changed. Filled from `effect` by the caller otherwise. */
  readonly exitCode?: number;
}

/**
 * One thing the operator can do. Its own failure is a result with `isError`; the lab's failure aborts the trial's
 * signal first and throws second, so that it never reaches the model as text.
 */
export interface Tool<Input extends z.ZodType = z.ZodType> {
  readonly name: string;
  readonly description: string;
  readonly input: Input;
  /** Computed from the parsed call: `GET` reads, `DELETE /members` destroys. What no rule lists is destructive. */
  effect(input: z.output<Input>): Effect;
  run(input: z.output<Input>, signal: AbortSignal): Promise<ToolResult>;
}

/** One class of the published list that diagnoses are made of. Neutral words: it says what is wrong, not who did it. */
export interface CauseClass {
  readonly id: string;
  readonly definition: string;
}

/** What a subject gives its operator. No faults and no answers: nothing here knows what was done to the subject. */
export interface OperatorKit {
  readonly subject: string;
  /** Tools that only this subject has, e.g. `pd_request`. */
  readonly tools: readonly Tool[];
  readonly causes: readonly CauseClass[];
  /** Topology, endpoints, scrape interval, objectives, what cannot be undone. */
  readonly briefing: string;
  /** Folder of the subject's own runbooks. */
  readonly runbookDir: string;
}

/** The tickets of one instance that overlap in time; what an operator claims. */
export interface Incident {
  readonly batchKey: string;
  readonly instance: InstanceId;
  readonly tickets: readonly IncidentTicket[];
  readonly holder: string;
  readonly attempt: number;
}

export interface IncidentTicket {
  readonly id: number;
  readonly invariant: string;
  readonly component: Component | null;
  readonly severity: Severity;
  readonly message: string;
  readonly firstSeenAt: EpochMs;
  readonly snapshot: unknown;
  readonly context: string | null;
}

export type OperatorEnding = "resolved" | "no-fault" | "escalated" | "failed" | "limit";

export interface SubmittedDiagnosis extends Diagnosis {
  readonly explanation: string;
  readonly evidence: readonly string[];
  readonly done: string;
  readonly ending: "resolved" | "no-fault" | "escalated";
}

export interface OperatorResult {
  readonly ending: OperatorEnding;
  /** Why it ended so, one sentence. */
  readonly reason: string;
  readonly diagnosis: SubmittedDiagnosis | null;
  readonly usage: Usage;
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly usd: number;
  readonly turns: number;
}

export interface OperatorLimits {
  readonly turns: number;
  /** Working time: waits for the API's rate limits are apart. */
  readonly workingMs: number;
  readonly usd: number;
  readonly outputTokensPerTurn: number;
}

/** What an operator meets. It has no other way to the world. */
export interface OperatorContext {
  readonly incident: Incident;
  readonly tools: readonly Tool[];
  readonly limits: OperatorLimits;
  readonly mode: SafetyMode;
  /** The kit's: topology, endpoints, objectives, what cannot be undone. */
  readonly briefing: string;
  /** Runs one call: validates, serialises writes, checks the lease, audits. The only way to run a tool. */
  call(tool: string, input: unknown, signal: AbortSignal): Promise<ToolResult>;
  /** Reasoning text for the transcript. */
  say(text: string): void;
  /** What `submit_diagnosis` has recorded so far. */
  submitted(): SubmittedDiagnosis | null;
  /** How long people were waited for so far (mode `propose`): not the operator's time. */
  waitedMs(): number;
}

export interface Operator {
  readonly name: string;
  /** True = follows a script: its results say nothing about AI, and everything that shows them says so. */
  readonly scripted: boolean;
  /** True = it waits for an API's rate limits, which is not its working time. */
  readonly waitsForApi?: boolean;
  /** For the record: `model`, `prompt` (version and digest), and whatever else makes it another operator. */
  readonly details?: Readonly<Record<string, string>>;
  /** Never throws for what the operator did; throws only when the lab failed or the signal aborted. */
  work(context: OperatorContext, signal: AbortSignal): Promise<OperatorResult>;
}

// ------------------------------------------------------------------------------------------------ events of a trial

/** What happens in a trial, as it happens: the live view, the plain lines and `events.jsonl` are made of these alone. */
export type TrialEvent = {
  readonly at: EpochMs;
  /** Since the first fault took (a control: since its ticket); null before that. */
  readonly sinceMs: number | null;
} & TrialHappening;

export type TrialHappening =
  | { readonly type: "phase"; readonly phase: TrialPhase; readonly text: string }
  | { readonly type: "notice"; readonly text: string }
  | {
      readonly type: "cluster";
      readonly nodes: readonly {
        readonly component: Component;
        readonly status: string;
        readonly leaders: number | null;
      }[];
    }
  | {
      readonly type: "clients";
      readonly okRatio: number | null;
      readonly p99Ms: number | null;
      readonly perSecond: number;
    }
  | { readonly type: "broke"; readonly target: Component; readonly label: string }
  | { readonly type: "ticket"; readonly id: number; readonly severity: Severity; readonly message: string }
  | { readonly type: "ticket-resolved"; readonly id: number }
  | {
      readonly type: "step";
      readonly kind: "reasoning" | "call" | "result";
      readonly text: string;
      /** Of a call or its result; null = not known, or reasoning. */
      readonly effect: Effect | null;
    }
  | { readonly type: "operator-ended"; readonly ending: string; readonly reason: string }
  | { readonly type: "recovered" }
  | { readonly type: "stable" };

export type TrialPhase =
  "deploy" | "steady" | "harm" | "operator" | "recover" | "heal" | "integrity" | "teardown" | "grade";

// ------------------------------------------------------------------------------------------------ verdicts

/** pass < unknown < fail: the worst part decides, and not knowing is not passing. */
export type Verdict =
  | { readonly verdict: "pass"; readonly checked: number }
  | { readonly verdict: "unknown"; readonly why: string }
  | { readonly verdict: "fail"; readonly predicate: string; readonly witness: unknown };

/** Pure: history in, verdict out. One that throws counts as unknown. */
export type Checker = (history: readonly Operation[], final: ReadonlyMap<string, string> | null) => Verdict;
