import { errorText } from "../base/errors.ts";
import { waitFor } from "../base/wait.ts";
import type { Deps, Fault, OwnerEngine } from "../protocol.ts";
import { FaultError } from "./fault-error.ts";
import type { InjectionJournal, JournalEntry } from "./journal.ts";
import { makeFault } from "./registry.ts";

/** A harm may need a moment to show, e.g. until the engine has noticed that the process is gone. */
const VERIFY_TIMEOUT_MS = 10_000;

/**
 * Journal, inject, verify. When it did not take, it is healed before the error rises, so that nothing half-done is
 * left.
 */
export async function injectFault(
  fault: Fault,
  entry: JournalEntry,
  journal: InjectionJournal,
  { clock }: Pick<Deps, "clock">,
  signal: AbortSignal,
): Promise<void> {
  try {
    await fault.inject(signal);
    await journal.injected(entry);
    await waitFor(() => fault.verify("in-effect", signal), {
      clock,
      timeoutMs: VERIFY_TIMEOUT_MS,
      everyMs: 50,
      what: `${fault.kind} of ${entry.spec.target} to take effect`,
      signal,
    });
  } catch (error) {
    await healFault(fault, entry, journal, AbortSignal.timeout(VERIFY_TIMEOUT_MS));
    signal.throwIfAborted();
    throw new FaultError(`${fault.kind} of ${entry.spec.target} did not take: ${errorText(error)}`, { cause: error });
  }
}

/** Idempotent. The signal is the healer's own deadline, never the trial's. */
export async function healFault(
  fault: Fault,
  entry: JournalEntry,
  journal: InjectionJournal,
  signal: AbortSignal,
): Promise<void> {
  await fault.heal(signal);
  await journal.healed(entry);
}

/** Heals whatever a journal still has open. Returns what it healed; goes on after a failure and reports it at the end. */
export async function healPending(
  journal: InjectionJournal,
  engine: OwnerEngine,
  deps: Deps,
  signal: AbortSignal,
): Promise<readonly JournalEntry[]> {
  const healed: JournalEntry[] = [];
  const failures: string[] = [];
  for (const entry of await journal.pending()) {
    try {
      await healFault(makeFault(entry.spec, engine, deps), entry, journal, signal);
      healed.push(entry);
    } catch (error) {
      failures.push(`${entry.spec.kind} of ${entry.spec.target}: ${errorText(error)}`);
    }
  }
  if (failures.length > 0) throw new FaultError(`not healed: ${failures.join("; ")}`, { details: { failures } });
  return healed;
}
