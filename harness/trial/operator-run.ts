import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { HarnessError } from "../base/errors.ts";
import type { TrialControl } from "./control.ts";
import { OperatorOutput, type OperatorExit } from "./operator-output.ts";
import type { Clock, SafetyMode, SubjectInstance } from "../protocol.ts";

/** Which operator works the ticket, and with what. */
export interface OperatorVariant {
  readonly name: string;
  readonly mode: SafetyMode;
  readonly model: string | null;
  readonly usdCap: number | null;
  /** Runbooks of the user's own. */
  readonly runbookDirs: readonly string[];
}

/** `terminal`: a person; `outside`: a client of somebody's, wherever it runs. */
export type OperatorPlace = "child-process" | "container" | "guarded-container" | "in-process" | "terminal" | "outside";

export interface OperatorRun extends AsyncDisposable {
  readonly runsIn: OperatorPlace;
  /** Resolves when its program has ended by itself or was stopped; never rejects. */
  readonly ended: Promise<OperatorExit>;
  /** Asks it to end: it releases its lease and closes its session. Killed after `graceMs`. Idempotent. */
  stop(graceMs: number): Promise<void>;
}

/** Starts an operator on a ticket file. `victims` is for the oracle alone: it never reaches another process. */
export type OperatorLauncher = (
  variant: OperatorVariant,
  instance: SubjectInstance,
  given: {
    readonly tickets: string;
    readonly log: string;
    /** Null = it gets the engine itself. */
    readonly control: TrialControl | null;
    victims(): readonly string[];
  },
  signal: AbortSignal,
) => Promise<OperatorRun>;

/** The variables that the operator's program gets of ours; everything else stays here. */
const PASSED_ON = ["PATH", "HOME", "LANG", "TMPDIR", "NODE_EXTRA_CA_CERTS", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"];

/** What an operator's program is told; neutral words only. In compose mode the control plane takes the engine's place. */
export function operatorEnvironment(
  variant: OperatorVariant,
  instance: SubjectInstance,
  view: "host" | "network",
  control: TrialControl | null,
): Record<string, string> {
  return {
    ...instance.operatorEnvironment(view),
    // Said either way, whatever a config file says.
    COMPOSE_AGENT_ENABLED: "false",
    ...control?.operator,
    INSTANCE_ID: instance.id,
    OPERATOR: variant.name,
    OPERATOR_SAFETY_MODE: variant.mode,
    ...(variant.model === null ? {} : { MODEL: variant.model }),
    ...(variant.usdCap === null ? {} : { MAX_USD: String(variant.usdCap) }),
    ...(variant.runbookDirs.length === 0 ? {} : { RUNBOOK_DIRS: variant.runbookDirs.join(":") }),
  };
}

/** The operators that no program of ours is. */
const ELSEWHERE: Readonly<Record<string, OperatorPlace>> = { human: "terminal", external: "outside" };
/** Where its operator is, whose program runs in `place`. */
export const placeOf = ({ name }: OperatorVariant, place: OperatorPlace): OperatorPlace => ELSEWHERE[name] ?? place;

/** The agent's program as a child process: for the process engine, and for whoever works from this machine. */
export function childProcessLauncher(deps: {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
}): OperatorLauncher {
  const program = resolve(import.meta.dirname, `../agent/main${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`);
  return async (variant, instance, given, signal) => {
    signal.throwIfAborted();
    const output = new OperatorOutput(given.log);
    const passed = Object.fromEntries(
      PASSED_ON.flatMap((name) => (deps.env[name] === undefined ? [] : [[name, deps.env[name]]])),
    );
    const child = spawn(process.execPath, [program, given.tickets, "--once"], {
      env: { ...passed, ...operatorEnvironment(variant, instance, "host", given.control) },
      cwd: "/",
      // A person gets the terminal; what the program logs goes to the run's folder either way.
      stdio: variant.name === "human" ? ["inherit", "inherit", "pipe"] : ["ignore", "pipe", "pipe"],
      // A Ctrl-C on the terminal is ours to handle: the operator is told to stop in its turn.
      detached: true,
    });
    child.stdout?.on("data", (chunk: Buffer) => output.take(chunk, "stdout"));
    child.stderr?.on("data", (chunk: Buffer) => output.take(chunk, "stderr"));
    const ended = new Promise<OperatorExit>((done) => {
      child.once("error", (error) => done(output.exit(null, error.message)));
      child.once("close", (code) => done(output.exit(code, null)));
    });
    await Promise.race([once(child, "spawn"), ended]);
    if (child.pid === undefined)
      throw new HarnessError("operator-failed", `cannot start the operator's program: ${(await ended).error ?? ""}`);
    const stop = async (graceMs: number): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const late = new AbortController();
      await Promise.race([ended, deps.clock.sleep(graceMs, late.signal).catch(() => {})]);
      late.abort();
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    };
    const runsIn = placeOf(variant, "child-process");
    return await output.listening({ runsIn, ended, stop, [Symbol.asyncDispose]: () => stop(5_000) }, signal);
  };
}
