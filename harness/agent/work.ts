import { LimitExceeded } from "../base/errors.ts";
import type {
  Clock,
  Engine,
  Incident,
  Log,
  Operator,
  OperatorContext,
  OperatorKit,
  OperatorLimits,
  OperatorResult,
  SafetyMode,
} from "../protocol.ts";
import { createCaller } from "./caller.ts";
import { noUsage } from "./limits.ts";
import type { PeopleAsked } from "./propose.ts";
import { buildTools, type Findings, type PrometheusApi } from "./tools/index.ts";
import type { ShellRunner } from "./tools/shell.ts";
import { Transcript, type Masker, type TranscriptSink } from "./transcript.ts";
import { WorkingTime } from "./working-time.ts";

export interface WorkOptions {
  readonly incident: Incident;
  /** The incident as it is now: tickets may have joined it since it was claimed. */
  latest?(): Incident;
  readonly operator: Operator;
  readonly engine: Engine;
  readonly kit: OperatorKit;
  readonly prometheus: PrometheusApi | null;
  readonly components: readonly string[];
  readonly shell?: ShellRunner | null;
  readonly mode: SafetyMode;
  readonly limits: OperatorLimits;
  readonly sink: TranscriptSink;
  readonly mask: Masker;
  /** Who is asked about each write in mode `propose`. */
  readonly people?: PeopleAsked | null;
  /** Asked just before every act. @throws LeaseLostError when holder or attempt is no longer ours. */
  checkLease(): Promise<void> | void;
}

/** An operator that waits for an API's rate limit is not working; this much of it is borne on top of the limit. */
const MAX_API_WAIT_MS = 10 * 60_000;

/**
 * Lets one operator work one claimed incident, in this process, with the tools that every operator has. Touches neither
 * the ticket nor the lease: the caller ends the session with what is returned.
 *
 * @throws whatever ended the work from outside: the signal's reason, a lost lease, a failure of the lab itself. What
 * the operator did wrong is a result, as is a limit that it reached.
 */
export async function workIncident(
  options: WorkOptions,
  deps: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<OperatorResult> {
  const { operator, limits } = options;
  const findings: Findings = { submitted: null };
  const stop = new AbortController();
  const working = AbortSignal.any([signal, stop.signal]);
  const transcript = new Transcript({ clock: deps.clock, log: deps.log, sink: options.sink, mask: options.mask });
  const tools = buildTools({ ...options, clock: deps.clock, findings }, options.mode);
  const time = new WorkingTime(deps.clock);
  const call = createCaller({
    tools,
    mode: options.mode,
    transcript,
    people: options.people == null ? null : pausing(options.people, time),
    checkLease: () => options.checkLease(),
    abort: (reason) => stop.abort(reason),
  });
  const context: OperatorContext = {
    get incident() {
      return options.latest?.() ?? options.incident;
    },
    tools,
    limits,
    mode: options.mode,
    briefing: options.kit.briefing,
    call: (tool, input, callSignal) => call(tool, input, AbortSignal.any([working, callSignal])),
    say: (text) => void transcript.reasoning(text).catch((error: unknown) => stop.abort(error)),
    submitted: () => findings.submitted,
    waitedMs: () => time.pausedMs(),
  };
  const deadlineMs = limits.workingMs + (operator.waitsForApi === true ? MAX_API_WAIT_MS : 0);
  void time
    .worked(deadlineMs, working)
    .then(() => stop.abort(new LimitExceeded("working time (ms)", deadlineMs, limits.workingMs)))
    .catch(() => {});
  try {
    const result = await operator.work(context, working);
    // An operator that swallowed a failure of the lab has nothing to say about it.
    stop.signal.throwIfAborted();
    return { ...result, diagnosis: result.diagnosis ?? findings.submitted };
  } catch (error) {
    signal.throwIfAborted();
    if (stop.signal.reason instanceof LimitExceeded)
      return { ending: "limit", reason: stop.signal.reason.message, diagnosis: findings.submitted, usage: noUsage };
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    stop.abort(new Error("the session has ended"));
  }
}

/** Waiting for a person is not the operator's time. */
function pausing(people: PeopleAsked, time: WorkingTime): PeopleAsked {
  return {
    ...people,
    async permission(call, asked, signal) {
      using _ = time.pause();
      return await people.permission(call, asked, signal);
    },
  };
}
