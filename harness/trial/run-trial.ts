import { dirname, join } from "node:path";
import { errorText, HarnessError } from "../base/errors.ts";
import { InjectionJournal } from "../faults/journal.ts";
import type { ContainerState, Deps, Judgement, SubjectInstance, TrialEvent, Workload } from "../protocol.ts";
import { RunFolder } from "../store/run-folder.ts";
import type { StateSnapshot, TrialRecord } from "../store/record.ts";
import type { Tickets } from "../../tickets/index.ts";
import { blindingOf } from "./blinding.ts";
import type { ControlStarter, TrialControl } from "./control.ts";
import { watchRollback } from "./rollback.ts";
import { baselineKey } from "./counterfactual.ts";
import { disturbance } from "./disturbance.ts";
import { gradeTrial } from "./grade.ts";
import { judgeData } from "./judge-data.ts";
import { chooseComponent, Harm } from "./harm.ts";
import { HistoryDrain } from "./history.ts";
import { IncidentFollower } from "./incident-follower.ts";
import type { OperatorLauncher, OperatorRun } from "./operator-run.ts";
import { newRecord, type TrialPlan } from "./plan.ts";
import { Recorder } from "./recorder.ts";
import { hypothesisRecovery } from "./recovery.ts";
import type { Sampler } from "./sampler.ts";
import { operatorOnSteadyState, STEADY_FOR_MS } from "./steady-state.ts";
import { openOutsideFolder, type Outside } from "./outside-folder.ts";
import { watchCluster, watchHypothesis } from "./watch.ts";
import { withinMs, withinWorkingMs } from "./within.ts";

const OPERATOR_STOP_GRACE_MS = 5_000;
const READ_BACK_TIMEOUT_MS = 30_000;
/** Teardown, collecting: own deadlines, so that they also work after Ctrl-C. */
const COLLECT_TIMEOUT_MS = 20_000;

/** A running monitor, as the trial sees it. */
export interface TrialMonitor extends AsyncDisposable {
  judgements(invariant: string): readonly Judgement[];
}

/** How the trial reaches the parts that depend on engine and operator. */
export interface TrialParts {
  deploy(signal: AbortSignal): Promise<SubjectInstance>;
  openTickets(path: string): Promise<Tickets>;
  /** `failed` is called when it cannot go on; the trial is void then. */
  startMonitor(
    options: { instance: SubjectInstance; tickets: Tickets; workload: Workload; intervalMs: number },
    failed: (error: unknown) => void,
  ): TrialMonitor;
  /** After teardown: whether anything of the instance still runs. */
  isUp(signal: AbortSignal): Promise<boolean>;
  /** Null = legacy mode: the operator's program holds the engine itself. */
  control: ControlStarter | null;
  /** Null = no operator takes part. */
  launch: OperatorLauncher | null;
  show(event: TrialEvent): void;
}

/**
 * Runs one trial to a recorded end: completed with a grade, or void with the reason. Whatever was started is gone when
 * it returns.
 *
 * @throws StoreError when the record cannot be written; the signal's reason when it aborted (the record says void).
 */
export async function runTrial(
  plan: TrialPlan,
  parts: TrialParts,
  deps: Deps,
  signal: AbortSignal,
): Promise<TrialRecord> {
  await using folder = await RunFolder.create(plan.folderPath);
  const run = new Recorder(newRecord(plan, deps.clock), folder, deps.clock, (event) => parts.show(event));
  await folder.save(run.record);
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  try {
    await withSubject(plan, parts, deps, run, (error) => failed.abort(error), either);
    if (run.record.subject.owned) await attestGone(run, parts);
    const disturbed = disturbance(run.record);
    if (disturbed !== null) throw new HarnessError("subject-failed", disturbed);
    run.emit({ type: "phase", phase: "grade", text: "grading" });
    run.record.grade = gradeTrial(run.record, await plan.baselineFor(run.record.baselineKey));
    await run.end("completed");
  } catch (error) {
    // What aborted first is the reason; errors that follow from it are not.
    const reason: unknown = either.aborted ? either.reason : error;
    run.record.voidReason = {
      code: reason instanceof HarnessError ? reason.code : "internal",
      message: errorText(reason),
    };
    deps.log.error("trial_void", { reason: errorText(reason), stack: (reason as Error).stack });
    await run.end("void");
    signal.throwIfAborted();
  }
  return run.record;
}

/** What was ours is gone, or the record says that it is not: `lab heal` then removes it. */
async function attestGone(run: Recorder, parts: TrialParts): Promise<void> {
  const left = await parts.isUp(AbortSignal.timeout(COLLECT_TIMEOUT_MS));
  run.record.attestation.after = left ? "still up" : "gone";
  if (left) run.record.notes.push("the cluster was not torn down completely; `lab heal` removes what is left");
}

async function withSubject(
  plan: TrialPlan,
  parts: TrialParts,
  deps: Deps,
  run: Recorder,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const { scenario } = plan;
  await using scope = new AsyncDisposableStack();
  run.emit({ type: "phase", phase: "deploy", text: "starting the cluster" });
  const instance = scope.use(await parts.deploy(signal));
  describeSubject(run.record, instance);
  await instance.waitReady({ timeoutMs: scenario.limits.steadyMs }, signal);
  run.record.attestation.before = (await instance.attest(signal)).digest;
  await run.folder.save(run.record);

  // In a folder of its own: an operator in a container gets that folder, and the record is none of its business.
  const ticketsPath =
    plan.ticketsPath ?? join(scope.use(await outsideFolder("tickets", plan, run, deps)).path, "tickets.db");
  const tickets = scope.use(await parts.openTickets(ticketsPath));
  const workload = scope.use(await instance.startWorkload({ ...scenario.workload, seed: plan.seed }, signal));
  const history = scope.use(new HistoryDrain(workload, run));
  const monitor = scope.use(
    parts.startMonitor({ instance, tickets, workload, intervalMs: plan.monitorIntervalMs }, failed),
  );
  const follower = scope.use(new IncidentFollower(tickets, instance.id, run, deps));
  const sampler = scope.use(watchHypothesis(scenario, run, workload, (name) => monitor.judgements(name), deps));
  scope.use(watchCluster(instance, workload, run, deps, failed));

  // Before the steady state is asked for: its start may cost the cluster a moment of a small machine.
  const control = await startControlPlane({ plan, parts, run, deps, instance, scope }, ticketsPath, signal);
  if (control !== null) scope.use(watchRollback(tickets, instance.id, deps, failed));
  run.emit({ type: "phase", phase: "steady", text: "waiting for the steady state" });
  const { launch } = parts;
  const given = {
    tickets: ticketsPath,
    log: run.folder.file("operator.jsonl"),
    victims: () => run.record.injections.map(({ target }) => target),
    control,
  };
  const operator = await operatorOnSteadyState(
    { scenario, instance: instance.id, tickets, sampler, clock: deps.clock },
    () => launch?.(plan.variant, instance, given, signal) ?? null,
    (why) => run.emit({ type: "notice", text: why }),
    signal,
  );
  scope.use(operator);
  run.record.blinding = blindingOf(operator?.runsIn ?? "none");
  run.record.statesBefore = (await instance.engine.list(signal)).map(snapshot);
  const harm = scope.use(new Harm(instance, new InjectionJournal(plan.journalPath, deps), run, deps));

  await act({ plan, run, deps, instance, tickets, harm, sampler, follower, operator }, signal);
  await restore({ plan, run, instance, harm, sampler, operator }, signal);
  await endControlPlane(control, run);
  // Clients are about to stop: what the monitor would see from now on is our own doing.
  await monitor[Symbol.asyncDispose]();
  await checkData(run, workload, history, signal);
  await follower.settle();
  run.emit({ type: "phase", phase: "teardown", text: "collecting logs, stopping everything" });
  await instance.collectLogs(run.folder.file("logs"), AbortSignal.timeout(COLLECT_TIMEOUT_MS));
  await run.folder.save(run.record);
}

/** In its own folder: a link to it stands in the run's folder meanwhile, and it is there when all is over. */
async function startControlPlane(
  {
    plan,
    parts,
    run,
    deps,
    instance,
    scope,
  }: {
    readonly plan: TrialPlan;
    readonly parts: TrialParts;
    readonly run: Recorder;
    readonly deps: Deps;
    readonly instance: SubjectInstance;
    readonly scope: AsyncDisposableStack;
  },
  tickets: string,
  signal: AbortSignal,
): Promise<TrialControl | null> {
  if (parts.launch === null) return null;
  if (parts.control === null) {
    run.record.control = LEGACY;
    return null;
  }
  run.emit({ type: "phase", phase: "deploy", text: "starting the control plane" });
  const folder = scope.use(await outsideFolder("control", plan, run, deps));
  const control = scope.use(
    await parts.control(instance, { tickets, folder: folder.path, variant: plan.variant }, signal),
  );
  run.emit({ type: "notice", text: `status panel: ${control.panel}` });
  return control;
}

const LEGACY: TrialRecord["control"] = {
  mode: "legacy",
  plane: "status_panel",
  commands: {},
  outcomes: {},
  audit: null,
};

/** Its audit is verified once nobody writes it any more. */
async function endControlPlane(control: TrialControl | null, run: Recorder): Promise<void> {
  if (control === null) return;
  run.record.control = await control.finish();
  const { audit } = run.record.control;
  if (audit?.intact === false) run.record.notes.push(`the audit is not what was written: ${audit.findings.join("; ")}`);
}

interface Cast {
  readonly plan: TrialPlan;
  readonly run: Recorder;
  readonly deps: Deps;
  readonly instance: SubjectInstance;
  readonly tickets: Tickets;
  readonly harm: Harm;
  readonly sampler: Sampler;
  readonly follower: IncidentFollower;
  readonly operator: OperatorRun | null;
}

/** From the first fault (or the false ticket) to the end of watching. */
async function act(cast: Cast, signal: AbortSignal): Promise<void> {
  const { plan, run, deps, harm, sampler, follower, operator } = cast;
  const { scenario } = plan;
  const chosen = await harm.choose(scenario.faults, plan.seed, signal);
  sampler.restart();
  run.emit({ type: "phase", phase: "harm", text: scenario.control ? "nothing is broken in this one" : "breaking it" });
  if (scenario.control) await startControl(cast, signal);
  // A fault that takes a while to make (a crash loop) is seen, ticketed and worked on meanwhile.
  const made = scenario.control ? Promise.resolve() : harm.make(chosen, signal);
  made.catch(() => {});
  const ticketed = await withinMs(follower.firstTicket, scenario.limits.ticketMs, deps, signal);
  if (ticketed && operator !== null)
    run.emit({ type: "phase", phase: "operator", text: "an operator works the ticket" });
  await made;
  if (ticketed && operator !== null) {
    const waitedMs = () => cast.tickets.approvals.waitedMs(cast.instance.id);
    await withinWorkingMs(operator.ended, scenario.limits.operatorMs, waitedMs, deps, signal);
    run.record.waitedForPeopleMs = await waitedMs();
    await operator.stop(OPERATOR_STOP_GRACE_MS);
    await operatorEnded(run, follower, operator);
  }
  if (!ticketed && operator !== null) await operator.stop(OPERATOR_STOP_GRACE_MS);
  run.emit({ type: "phase", phase: "recover", text: "watching whether it holds" });
  await sampler.held({ forMs: scenario.limits.stableMs, withinMs: scenario.limits.recoverMs }, signal);
  run.mark("horizonMs");
  setRecoveryMarks(run);
}

async function startControl({ plan, run, deps, instance, tickets }: Cast, signal: AbortSignal): Promise<void> {
  run.startCounting();
  const { ticket } = plan.scenario;
  if (ticket === null) return;
  if (ticket.atMs > 0) await deps.clock.sleep(ticket.atMs, signal);
  const component = await chooseComponent(instance, ticket.target, deps, `${plan.seed}/ticket`, signal);
  await tickets.create({
    instance: instance.id,
    invariant: ticket.invariant,
    component,
    severity: ticket.severity,
    message: ticket.message.replaceAll("$target", component),
    manual: false,
  });
}

async function operatorEnded(run: Recorder, follower: IncidentFollower, operator: OperatorRun): Promise<void> {
  run.mark("operatorEndedMs");
  const { error } = await operator.ended;
  follower.operatorGone("the operator's program ended in mid-session");
  await follower.settle();
  const session = run.record.session;
  if (session === null)
    throw new HarnessError(
      "operator-failed",
      `the operator's program ended without a session: ${error ?? "no reason given"}`,
    );
  run.emit({ type: "operator-ended", ending: session.ending, reason: session.reason });
}

/** Heals what nobody else has healed; only then may the steady state be asked for again. */
async function restore(
  { plan, run, instance, harm, sampler, operator }: Omit<Cast, "deps" | "tickets" | "follower">,
  signal: AbortSignal,
): Promise<void> {
  await operator?.stop(OPERATOR_STOP_GRACE_MS);
  run.record.statesAfter = (await instance.engine.list(signal)).map(snapshot);
  await run.folder.save(run.record);
  if (plan.scenario.control) return;
  run.emit({ type: "phase", phase: "heal", text: "healing what is left" });
  await harm.heal();
  if (!run.record.injections.some((injection) => injection.healedByLab === true)) return;
  const steady = await sampler.held({ forMs: STEADY_FOR_MS, withinMs: plan.scenario.limits.recoverMs }, signal);
  if (!steady) run.record.notes.push("the steady state did not return after the lab had healed everything");
}

async function checkData(run: Recorder, workload: Workload, history: HistoryDrain, signal: AbortSignal): Promise<void> {
  run.emit({ type: "phase", phase: "integrity", text: "reading every acknowledged write back" });
  await workload.stop(signal);
  await history.finish();
  const final = await workload.readBack({ timeoutMs: READ_BACK_TIMEOUT_MS }, signal);
  await run.folder.saveFinal(final);
  judgeData(run.record, { history: history.operations, final });
  await run.folder.save(run.record);
}

function setRecoveryMarks(run: Recorder): void {
  const { recoveredMs } = hypothesisRecovery(run.record.samples);
  const { horizonMs } = run.record.marks;
  const { stableMs } = run.record.scenario.limits;
  if (recoveredMs === null || horizonMs === null) return;
  run.mark("recoveredMs", recoveredMs);
  if (horizonMs - recoveredMs >= stableMs) run.mark("stableMs", recoveredMs + stableMs);
}

const outsideFolder = (kind: Outside, { instance, journalPath }: TrialPlan, run: Recorder, { log }: Deps) =>
  openOutsideFolder(kind, run.folder.file(kind), { instance, stateDir: dirname(journalPath) }, log);

function describeSubject(record: TrialRecord, instance: SubjectInstance): void {
  const { subject: name, title, standIn, build, owned, id } = instance;
  record.subject = { name, title, standIn, build, owned, instance: id };
  record.timeFactor = instance.timeFactor;
  record.baselineKey = baselineKey({ ...record, build });
}

function snapshot({ component, status, startedAt, restartCount, networks, limits }: ContainerState): StateSnapshot {
  return { component, status, startedAt, restartCount, networks: [...networks], limits: { ...limits } };
}
