import { join, relative, resolve } from "node:path";
import { isoTime } from "../base/clock.ts";
import { errorText, HarnessError, StoreError, type ErrorCode } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { jsonLog, logFile } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import type { TrialEvent } from "../protocol.ts";
import type { TrialRecord } from "../store/record.ts";
import { readBaseline } from "../trial/baseline-file.ts";
import type { TrialPlan } from "../trial/plan.ts";
import { runTrial } from "../trial/run-trial.ts";
import { canDraw, liveView, type View } from "../view/live-view.ts";
import { plainLine } from "../view/plain-lines.ts";
import { withoutRepeats } from "../view/without-repeats.ts";
import { SCRIPTED_NOTICE, story } from "../view/story.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { BASELINE_DIR, newInstance, sweep } from "./subjects.ts";
import { packageVersion } from "../base/package-version.ts";
import type { TrialRequest } from "./trial-request.ts";
import { isScripted } from "./trial-options.ts";
import { trialParts } from "./trial-parts.ts";

const MONITOR_INTERVAL_MS = 500;
const NEXT: Readonly<Record<string, string>> = { "tikv/store-kill": "npx lab run tikv/store-hang" };

/** One trial from flags to verdict on the screen. Sets the exit code; 0 only for a pass. */
export async function conductTrial(request: TrialRequest, io: CliIo): Promise<TrialRecord> {
  const { flags, scenario } = request;
  const seed = flags.seed ?? drawSeed(io);
  const quiet = flags.json === true;
  const say = (text: string) => (quiet ? io.err(text) : io.out(text));
  await announce(request, io, say);
  for (const { id, outcome, why } of await sweep(io, "sweep before a trial"))
    if (outcome === "removed" || outcome === "failed") say(`left over ${id}: ${outcome} (${why})\n`);
  let done: PerformedTrial;
  {
    await using view = viewFor(request, seed, io, quiet);
    try {
      done = await performTrial(
        request,
        seed,
        io,
        withoutRepeats((event) => view.show(event)),
      );
    } catch (error) {
      if (io.signal.aborted) say("interrupted: everything was healed and stopped; the trial counts as void\n");
      throw error;
    }
  }
  const folder = relative(io.cwd, done.folder) || ".";
  if (quiet) io.out(`${JSON.stringify(done.record)}\n`);
  else io.out(`\n${story(done.record, { folder, next: NEXT[scenario.id] ?? null })}`);
  io.setExitCode(exitCodeFor(done.record));
  return done.record;
}

export interface PerformedTrial {
  readonly record: TrialRecord;
  readonly folder: string;
}

export const drawSeed = (io: CliIo): number => seededRandom(io.deps.ids.hex(8)).int(1_000_000);

/** One trial on an instance of its own, without a word on the screen. */
export async function performTrial(
  request: TrialRequest,
  seed: number,
  io: CliIo,
  show: (event: TrialEvent) => void,
): Promise<PerformedTrial> {
  using instance = newInstance(io, `${request.scenario.id}, seed ${seed}`);
  const plan = planOf(request, seed, instance.id, instance.paths.journal, io);
  // Into the run's folder, not on the screen: that belongs to the view.
  makeRunFolder(plan.folderPath);
  const log = jsonLog({ stream: logFile(join(plan.folderPath, "lab.jsonl")) }).child({ trial: plan.id });
  const deps = { ...io.deps, random: seededRandom(seed), log };
  const parts = trialParts(request, plan, instance.paths.dir, { ...io, deps }, show);
  return { record: await runTrial(plan, parts, deps, io.signal), folder: plan.folderPath };
}

function makeRunFolder(path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? errorText(error);
    throw new StoreError(`cannot make ${path} for the record (${code}); name a folder of yours with --runs`, {
      cause: error,
    });
  }
}

/** Also when it voids a trial, what a person has to put right first has its own code. */
const OWN_CODES: readonly number[] = [EXIT.environment, EXIT.notFound, EXIT.tickets];

export function exitCodeFor({ status, grade, voidReason }: TrialRecord): number {
  if (status === "void") {
    const code = exitCodeOf((voidReason?.code ?? "internal") as ErrorCode);
    return OWN_CODES.includes(code) ? code : EXIT.void;
  }
  return grade?.verdict === "pass" ? EXIT.ok : EXIT.notPassed;
}

async function announce(
  { flags, mode, scenario }: TrialRequest,
  io: CliIo,
  say: (text: string) => void,
): Promise<void> {
  if (flags.operator === "claude") {
    const { DEFAULT_MODEL } = await import("../agent/operators/claude-models.ts");
    say(`model ${flags.model ?? DEFAULT_MODEL}, stops at USD ${flags.maxUsd ?? 2}\n`);
    const { requireAcceptedKey } = await import("../agent/operators/claude/try.ts");
    await requireAcceptedKey(io.env, flags.model, io.signal);
  } else if (flags.operator === "human") return say(`a person works this one, at this terminal; safety mode ${mode}\n`);
  else if (flags.operator === "external")
    say("an MCP client works this one: `lab mcp serve`, then `lab mcp token` once there is a ticket\n");
  else say(`${SCRIPTED_NOTICE}\n`);
  if (mode === "propose") say("each change waits for a person: `lab approve list` in another terminal\n");
  say(`${scenario.id}: ${scenario.title}; safety mode ${mode}\n`);
}

function planOf(
  request: TrialRequest,
  seed: number,
  instance: TrialPlan["instance"],
  journalPath: string,
  io: CliIo,
): TrialPlan {
  const { scenario, engine, flags, mode, db } = request;
  const timeFactor = flags.timeFactor ?? 1;
  const stamp = isoTime(io.deps.clock.now()).slice(0, 19).replaceAll(":", "").replace("T", "-");
  const id = `${stamp}-${scenario.id.replace("/", "--")}-${flags.operator}-${io.deps.ids.hex(2)}`;
  if (engine === "docker" && timeFactor !== 1)
    throw new HarnessError("usage", "--time-factor scales the embedded stand-ins; on Docker it is always 1");
  return {
    id,
    scenario,
    seed,
    engine,
    timeFactor,
    variant: {
      name: flags.operator,
      mode,
      model: flags.model ?? null,
      usdCap: flags.maxUsd ?? null,
      runbookDirs: (flags.runbooks ?? []).map((folder) => resolve(io.cwd, folder)),
    },
    scripted: isScripted(flags.operator),
    notice: isScripted(flags.operator) ? SCRIPTED_NOTICE : null,
    instance,
    journalPath,
    folderPath: resolve(io.cwd, flags.runs, id),
    ticketsPath: db === undefined ? null : resolve(io.cwd, db),
    monitorIntervalMs: MONITOR_INTERVAL_MS,
    baselineFor: async (key) =>
      flags.baseline === "none"
        ? null
        : await readBaseline(BASELINE_DIR, { scenario: scenario.id, engine, timeFactor }, key),
    labVersion: packageVersion(),
  };
}

function viewFor({ scenario, flags }: TrialRequest, seed: number, io: CliIo, quiet: boolean): View {
  if (flags.operator === "human") return sideView(io);
  if (!quiet && io.stdoutIsTty && canDraw(process.stdout)) {
    const notice = isScripted(flags.operator) ? SCRIPTED_NOTICE : null;
    return liveView({ title: "agent lab", scenario: scenario.id, seed, notice }, process.stdout, io.deps.clock);
  }
  const write = quiet ? io.err : io.out;
  return {
    show(event: TrialEvent) {
      const line = plainLine(event);
      if (line !== null) write(`${line}\n`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** While a person works, the terminal is theirs, and what was broken is for them to find. */
function sideView(io: CliIo): View {
  const later: string[] = [];
  let theirs = false;
  return {
    show(event: TrialEvent) {
      if (event.type === "phase" && event.phase === "operator") theirs = true;
      const line = plainLine(event);
      const told = event.type === "phase" || event.type === "operator-ended";
      if (line !== null && told && !theirs) io.out(`${line}\n`);
      else if (line !== null && event.type !== "step") later.push(line);
      if (event.type !== "operator-ended") return;
      theirs = false;
      io.out(`${later.splice(0).join("\n")}\n`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
