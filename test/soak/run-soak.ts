import { isoTime } from "../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../harness/base/errors.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { checkIntegrity } from "../../harness/checkers/integrity.ts";
import { checkReads } from "../../harness/checkers/reads.ts";
import { claimInstance, type OwnedInstance } from "../../harness/engine/instances.ts";
import { InjectionJournal, type JournalEntry } from "../../harness/faults/journal.ts";
import { healFault, injectFault } from "../../harness/faults/injection.ts";
import { makeFault } from "../../harness/faults/registry.ts";
import { quantile } from "../../harness/stats/quantile.ts";
import type {
  Component,
  Deps,
  EpochMs,
  Fault,
  FaultSpec,
  InstanceId,
  Operation,
  Workload,
} from "../../harness/protocol.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";
import { addressBook, urlsOf } from "../../subjects/tikv/kit/clients/address-book.ts";
import { pdClient } from "../../subjects/tikv/kit/clients/pd.ts";
import { waitSteady, type ReadinessSources } from "../../subjects/tikv/readiness.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { drawRound, livesOn, specOf, type Round, type Victim } from "./draw-round.ts";
import { START, unexpectedLines, type Harm, type UnexpectedLine } from "./expected-lines.ts";
import { SettledLoad } from "./settled-load.ts";
import { summarizeVitals, takeVitals, type NodeVitals, type Vital } from "./vitals.ts";

export interface SoakOptions {
  /** Folder for the cluster; the caller removes it. */
  readonly root: string;
  readonly forMs: number;
  /** Even when they take longer, as they do on a busy machine. */
  readonly leastRounds: number;
  readonly seed: number;
  readonly timeFactor: number;
  readonly ratePerSecond: number;
  /** Where the nodes' logs are left when something did not hold; null = nowhere. */
  readonly logFolder: string | null;
  /** One line for people, as things happen. */
  say(line: string): void;
}

export interface SoakRound {
  readonly number: number;
  readonly harms: readonly { readonly kind: string; readonly target: Component }[];
  readonly heldMs: number;
  /** From healing to a steady cluster and to clients that succeed; null = not within the limit. */
  readonly recoveredMs: number | null;
}

export interface SoakResult {
  readonly seed: number;
  readonly timeFactor: number;
  readonly startedAt: string;
  readonly tookMs: number;
  readonly rounds: readonly SoakRound[];
  readonly operations: number;
  readonly okRatio: number;
  readonly acknowledgedWrites: number;
  /** Null = not known. */
  readonly lostWrites: number | null;
  readonly reads: number;
  readonly recoveredMs: { readonly p50: number; readonly max: number } | null;
  readonly vitals: readonly NodeVitals[];
  readonly logLines: number;
  readonly unexpectedLines: readonly UnexpectedLine[];
  /** Empty = all held. */
  readonly problems: readonly string[];
}

const NODES: Readonly<Record<string, "pd" | "tikv">> = {
  pd0: "pd",
  pd1: "pd",
  pd2: "pd",
  tikv0: "tikv",
  tikv1: "tikv",
  tikv2: "tikv",
};
const READY_MS = 90_000;
const RECOVERY_MS = 120_000;
const HEAL_MS = 30_000;
const VITALS_EVERY_MS = 1_000;
const READ_BACK_MS = 180_000;
const CLIENT_WINDOW_MS = 1_000;

/** From then on data do not grow any more, and memory must not either. */
const SETTLED_SHARE = 0.4;
const SETTLED_AT_MOST_MS = 210_000;
/** Memory is flat: within what a heap that is sometimes collected shows as a trend over minutes. */
const GROWTH_MB_PER_MINUTE = 1;
const DEADLINE_MS = 2_000;
const MORE_FILES = 24;
/** The event loop of a node is late by this only when something blocks it. */
const LATE_MS = 2_000;

/**
 * Harms an embedded cluster of its own under load, one or two nodes at a time, heals, waits until all is well, and
 * again, for so long. Everything that did not hold is in `problems`. The cluster is gone when it resolves, also when
 * the signal aborted it: then with what was found until then.
 *
 * @throws what starting the cluster throws; a failure of the lab itself.
 */
export async function runSoak(options: SoakOptions, deps: Deps, signal: AbortSignal): Promise<SoakResult> {
  const { clock } = deps;
  const startedMs = clock.now();
  const holder = { pid: process.pid, what: "the soak", since: isoTime(startedMs) };
  using owned = claimInstance(options.root, "k1", holder);
  await using cluster = await deployEmbedded(
    {
      engine: "process",
      id: owned.id as InstanceId,
      stateDir: owned.paths.dir,
      project: "tikv-k1",
      network: "tikv-k1",
      timeFactor: options.timeFactor,
    },
    deps,
    signal,
  );
  await cluster.waitReady({ timeoutMs: READY_MS }, signal);
  await using workload = await cluster.startWorkload(
    { seed: options.seed, ratePerSecond: options.ratePerSecond, clients: 16, keyPrefix: "k", deadlineMs: DEADLINE_MS },
    signal,
  );
  const soak = new Soak({ options, deps, cluster, workload, owned, startedMs });
  return await soak.run(signal);
}

interface Parts {
  readonly options: SoakOptions;
  readonly deps: Deps;
  readonly cluster: EmbeddedInstance;
  readonly workload: Workload;
  readonly owned: OwnedInstance;
  readonly startedMs: EpochMs;
}

class Soak {
  readonly #parts: Parts;
  readonly #journal: InjectionJournal;
  readonly #readiness: ReadinessSources;
  readonly #history: Operation[] = [];
  readonly #rounds: SoakRound[] = [];
  readonly #harms: Harm[] = [];
  readonly #vitals: Vital[] = [];
  readonly #problems: string[] = [];
  #settled: { readonly load: SettledLoad; readonly fromMs: number } | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#journal = new InjectionJournal(parts.owned.paths.journal, parts.deps);
    const { cluster, deps } = parts;
    const endpoints = cluster.endpoints("host");
    const { componentOf } = addressBook(endpoints);
    const members = urlsOf(endpoints, cluster.components, "pd", "client");
    this.#readiness = { pd: pdClient({ members, componentOf }, deps), componentOf, clock: deps.clock };
    const fromMs = parts.startedMs;
    for (const target of Object.keys(NODES) as Component[])
      this.#harms.push({ kind: START, target, fromMs, untilMs: parts.deps.clock.now() });
  }

  async run(signal: AbortSignal): Promise<SoakResult> {
    const { options, deps } = this.#parts;
    const { clock } = deps;
    const over = new AbortController();
    const background = AbortSignal.any([over.signal]);
    const reading = this.#read(background);
    const measuring = this.#measure(background);
    const until = clock.monotonic() + options.forMs;
    const began = clock.monotonic();
    const settledFrom = began + Math.min(SETTLED_SHARE * options.forMs, SETTLED_AT_MOST_MS);
    using client = this.#client();
    try {
      await this.#recovered(signal);
      const goesOn = (number: number): boolean => number <= options.leastRounds || clock.monotonic() < until;
      for (let number = 1; goesOn(number) && this.#problems.length === 0; number++) {
        if (this.#settled === null && clock.monotonic() >= settledFrom) await this.#settle(client);
        await this.#round(drawRound(number, deps.random.fork(`soak/${options.seed}`)), signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      options.say("interrupted: everything is healed; what was seen until now is judged");
    }
    if (this.#settled === null) await this.#parts.workload.stop(new AbortController().signal);
    await this.#settled?.load.stop();
    await reading;
    over.abort();
    await measuring;
    return await this.#judge(clock.monotonic() - began);
  }

  #client(): RawClient {
    const { cluster, deps } = this.#parts;
    const endpoints = cluster.endpoints("host");
    const pdEndpoints = Object.values(urlsOf(endpoints, cluster.components, "pd", "client"));
    return new RawClient({ ...deps, pdEndpoints, advertised: endpoints.advertised, deadlineMs: DEADLINE_MS });
  }

  /** The workload, whose keys are ever new ones, gives way to load that overwrites the same ones. */
  async #settle(client: RawClient): Promise<void> {
    const { options, deps, workload } = this.#parts;
    await workload.stop(new AbortController().signal);
    const load = new SettledLoad({ client, clock: deps.clock, ratePerSecond: options.ratePerSecond });
    this.#settled = { load, fromMs: deps.clock.monotonic() };
    options.say("     from now on the same keys are overwritten, and most nodes are harmed without ending them");
  }

  async #read(signal: AbortSignal): Promise<void> {
    for await (const operation of this.#parts.workload.history(signal)) this.#history.push(operation);
  }

  async #measure(signal: AbortSignal): Promise<void> {
    const { deps, cluster } = this.#parts;
    while (!signal.aborted) {
      this.#vitals.push(...(await takeVitals(cluster.endpoints("host"), deps, signal)));
      await deps.clock.sleep(VITALS_EVERY_MS, signal).catch(() => {});
    }
  }

  async #round(round: Round, signal: AbortSignal): Promise<void> {
    const { options, deps } = this.#parts;
    const { clock } = deps;
    const scaled = (ms: number): number => ms * options.timeFactor;
    const fromMs = clock.now();
    const began = clock.monotonic();
    const harmed: { readonly fault: Fault; readonly entry: JournalEntry; readonly spec: FaultSpec }[] = [];
    try {
      for (const victim of round.victims) {
        if (harmed.length > 0) await clock.sleep(scaled(round.apartMs), signal);
        const spec = await this.#choose(victim, signal);
        const fault = makeFault(spec, this.#parts.cluster.engine, deps);
        const entry = await this.#journal.intend(spec);
        harmed.push({ fault, entry, spec });
        await injectFault(fault, entry, this.#journal, deps, signal);
      }
      await clock.sleep(Math.max(2_000, scaled(round.holdMs)), signal);
    } finally {
      for (const { fault, entry, spec } of harmed.toReversed()) {
        await healFault(fault, entry, this.#journal, AbortSignal.timeout(HEAL_MS));
        this.#harms.push({ kind: spec.kind, target: spec.target, fromMs, untilMs: clock.now() });
      }
    }
    const healed = clock.monotonic();
    const recoveredMs = (await this.#recovered(signal)) ? clock.monotonic() - healed : null;
    // What recovers belongs to the harm.
    for (const { spec } of harmed)
      this.#harms.push({ kind: spec.kind, target: spec.target, fromMs, untilMs: clock.now() });
    const harms = harmed.map(({ spec }) => ({ kind: spec.kind, target: spec.target }));
    this.#rounds.push({ number: round.number, harms, heldMs: healed - began, recoveredMs });
    this.#tell(harms, healed - began, recoveredMs);
    this.#checkReads();
    await clock.sleep(scaled(round.calmMs), signal);
  }

  /** Those that the predicate names now; PD may be without a leader for a moment after the last round. */
  async #choose(victim: Victim, signal: AbortSignal): Promise<FaultSpec> {
    const { options, deps, cluster } = this.#parts;
    const candidates = await waitFor(
      async (inner) => {
        const found = await cluster.candidates(victim.predicate, inner).catch(() => []);
        return found.length > 0 && found;
      },
      { clock: deps.clock, timeoutMs: RECOVERY_MS, everyMs: 200, what: `a ${victim.predicate}`, signal },
    );
    const target = deps.random.pick(candidates);
    return specOf(this.#settled === null ? victim : livesOn(victim, target), target, options.timeFactor);
  }

  /**
   * Every region has its replicas and clients succeed; not that every store leads: PD takes leaders away from one that
   * was slow, and for long, as the real one does. False = not within the limit, and that is a problem.
   */
  async #recovered(signal: AbortSignal): Promise<boolean> {
    const { deps, workload } = this.#parts;
    const wait = { clock: deps.clock, timeoutMs: RECOVERY_MS, everyMs: 100, what: "clients to succeed", signal };
    try {
      await waitSteady(this.#readiness, { timeoutMs: RECOVERY_MS }, signal);
      const okRatio = async (inner: AbortSignal): Promise<number | null> =>
        this.#settled?.load.okRatio(CLIENT_WINDOW_MS) ?? (await workload.window(CLIENT_WINDOW_MS, inner)).okRatio;
      await waitFor(async (inner) => (await okRatio(inner)) === 1, wait);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HarnessError)) throw error;
      this.#problems.push(`not recovered after round ${this.#rounds.length + 1}: ${errorText(error)}`);
      return false;
    }
  }

  #tell(harms: SoakRound["harms"], heldMs: number, recoveredMs: number | null): void {
    const who = harms.map(({ kind, target }) => `${kind} ${target}`).join(" + ");
    const back = recoveredMs === null ? "NOT WELL AGAIN" : `well again after ${(recoveredMs / 1_000).toFixed(1)} s`;
    const { options } = this.#parts;
    options.say(`${String(this.#rounds.length).padStart(3)}  ${who}, ${(heldMs / 1_000).toFixed(1)} s; ${back}`);
  }

  /** What was acknowledged is there: seen by every read since. */
  #checkReads(): void {
    const verdict = checkReads(this.#history);
    if (verdict.verdict === "fail") this.#problems.push(`${verdict.predicate}: ${JSON.stringify(verdict.witness)}`);
    this.#problems.push(...(this.#settled?.load.wrong.splice(0) ?? []));
  }

  async #judge(tookMs: number): Promise<SoakResult> {
    const { options, workload, startedMs } = this.#parts;
    const own = new AbortController().signal;
    const final = await workload.readBack({ timeoutMs: READ_BACK_MS }, own);
    const { verdict, acknowledged, lost } = checkIntegrity(this.#history, final);
    if (verdict.verdict !== "pass")
      this.#problems.push(
        `data: ${verdict.verdict === "fail" ? `${verdict.predicate} ${JSON.stringify(verdict.witness)}` : verdict.why}`,
      );
    const load = this.#settled?.load;
    const overwritten = (await load?.readBack(AbortSignal.timeout(READ_BACK_MS))) ?? { unread: 0, wrong: 0 };
    if (overwritten.unread > 0) this.#problems.push(`${overwritten.unread} overwritten keys could not be read back`);
    this.#problems.push(...(load?.wrong.splice(0) ?? []));
    const logs = await this.#judgeLogs(own);
    const isCalm = (fromMs: EpochMs, forMs: number): boolean =>
      !this.#harms.some((harm) => fromMs + forMs >= harm.fromMs && fromMs <= harm.untilMs);
    const vitals = summarizeVitals(this.#vitals, isCalm, this.#settled?.fromMs ?? Infinity);
    this.#judgeVitals(vitals);
    if (this.#problems.length > 0 && options.logFolder !== null)
      await this.#parts.cluster.collectLogs(options.logFolder, own);
    const recovered = this.#rounds.flatMap(({ recoveredMs }) => (recoveredMs === null ? [] : [recoveredMs]));
    const ok = this.#history.filter(({ outcome }) => outcome === "ok").length + (load?.succeeded ?? 0);
    const operations = this.#history.length + (load?.operations ?? 0);
    const reads = this.#history.filter(({ kind, outcome }) => kind === "read" && outcome === "ok").length;
    return {
      seed: options.seed,
      timeFactor: options.timeFactor,
      startedAt: isoTime(startedMs),
      tookMs,
      rounds: this.#rounds,
      operations,
      okRatio: operations === 0 ? 0 : ok / operations,
      acknowledgedWrites: acknowledged + (load?.acknowledged ?? 0),
      lostWrites: lost === null ? null : lost + overwritten.wrong,
      reads: reads + (load?.reads ?? 0),
      recoveredMs: recovered.length === 0 ? null : { p50: quantile(recovered, 0.5), max: Math.max(...recovered) },
      vitals,
      ...logs,
      problems: this.#problems,
    };
  }

  async #judgeLogs(signal: AbortSignal): Promise<Pick<SoakResult, "logLines" | "unexpectedLines">> {
    const found: UnexpectedLine[] = [];
    let logLines = 0;
    for (const [component, role] of Object.entries(NODES) as [Component, "pd" | "tikv"][]) {
      const lines = await this.#parts.cluster.engine.logs(component, {}, signal);
      logLines += lines.length;
      found.push(...unexpectedLines(component, role, lines, this.#harms));
    }
    if (found.length > 0) this.#problems.push(`${found.length} unexpected lines in the nodes' logs: ${found[0]?.text}`);
    return { logLines, unexpectedLines: found };
  }

  #judgeVitals(vitals: readonly NodeVitals[]): void {
    for (const node of vitals) {
      const { component, growthMbPerMinute, openFilesFirstHalf, openFilesSecondHalf, answerP99Ms } = node;
      if ((growthMbPerMinute ?? 0) > GROWTH_MB_PER_MINUTE)
        this.#problems.push(
          `${component} grows by ${growthMbPerMinute?.toFixed(1)} MB a minute while its data do not; ` +
            `${GROWTH_MB_PER_MINUTE} are allowed`,
        );
      if (openFilesSecondHalf > openFilesFirstHalf + MORE_FILES)
        this.#problems.push(`${component} had ${openFilesFirstHalf} open files, later ${openFilesSecondHalf}`);
      if ((answerP99Ms ?? 0) > LATE_MS)
        this.#problems.push(`${component} took ${answerP99Ms} ms to answer while nobody was harmed`);
    }
  }
}
