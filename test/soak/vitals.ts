import { errorText } from "../../harness/base/errors.ts";
import { quantile } from "../../harness/stats/quantile.ts";
import type { Component, Deps, Endpoints, EpochMs } from "../../harness/protocol.ts";

/** How one node was at one moment, as it says itself. */
export interface Vital {
  readonly component: Component;
  /** Monotonic. */
  readonly atMs: number;
  readonly wallMs: EpochMs;
  /** Which life of the process: its start in seconds. */
  readonly life: number;
  readonly residentBytes: number;
  readonly openFiles: number;
  /** How long it took to answer: what its event loop was late, and what it cost to collect. */
  readonly answerMs: number;
}

const TIMEOUT_MS = 5_000;

/** Asks every node's `/metrics` at once. Who does not answer is left out: others judge that. */
export async function takeVitals(endpoints: Endpoints, deps: Deps, signal: AbortSignal): Promise<readonly Vital[]> {
  const asked = Object.entries(endpoints.byComponent).flatMap(([component, services]) => {
    const url = services["status"] ?? (component.startsWith("pd") ? services["client"] : undefined);
    return url === undefined ? [] : [vitalOf(component as Component, url, deps, signal)];
  });
  return (await Promise.all(asked)).filter((vital) => vital !== null);
}

async function vitalOf(component: Component, url: string, deps: Deps, signal: AbortSignal): Promise<Vital | null> {
  const { clock, fetch, log } = deps;
  const [atMs, wallMs] = [clock.monotonic(), clock.now()];
  try {
    const reply = await fetch(`${url}/metrics`, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    const text = await reply.text();
    const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
    const vital = {
      component,
      atMs,
      wallMs,
      life: value("process_start_time_seconds"),
      residentBytes: value("process_resident_memory_bytes"),
      openFiles: value("process_open_fds"),
      answerMs: clock.monotonic() - atMs,
    };
    return Number.isNaN(vital.residentBytes) ? null : vital;
  } catch (error) {
    log.debug("no vitals", { component, why: errorText(error) });
    return null;
  }
}

export interface NodeVitals {
  readonly component: Component;
  readonly samples: number;
  readonly largestMb: number;
  /** While data did not grow, within long lives of the process; null = no life was long enough to tell. */
  readonly growthMbPerMinute: number | null;
  readonly openFilesFirstHalf: number;
  readonly openFilesSecondHalf: number;
  /** While nobody was harmed; null = there was no such moment. */
  readonly answerP50Ms: number | null;
  readonly answerP99Ms: number | null;
}

/** A young process grows: its code is compiled, its pages are touched. */
const SETTLED_AFTER_MS = 60_000;
/** As many seconds of a settled life, or nothing is said: a heap grows until it is collected for the first time. */
const ENOUGH_SAMPLES = 90;

/**
 * One row a node.
 *
 * @param isCalm whether nobody was being harmed then, nor within so many milliseconds after.
 * @param flatFromMs from when on data did not grow; Infinity = never.
 */
export function summarizeVitals(
  vitals: readonly Vital[],
  isCalm: (fromMs: EpochMs, forMs: number) => boolean,
  flatFromMs: number,
): readonly NodeVitals[] {
  const nodes = [...Map.groupBy(vitals, ({ component }) => component)].sort(([a], [b]) => (a < b ? -1 : 1));
  const first = Math.min(...vitals.map(({ atMs }) => atMs));
  const middle = (first + Math.max(...vitals.map(({ atMs }) => atMs))) / 2;
  return nodes.map(([component, own]) => {
    const files = (half: readonly Vital[]): number => Math.max(0, ...half.map(({ openFiles }) => openFiles));
    const late = own.filter(({ atMs }) => atMs >= middle);
    const answers = own.filter(({ wallMs, answerMs }) => isCalm(wallMs, answerMs)).map(({ answerMs }) => answerMs);
    const slope = slopeWithinLives(settled(own).filter(({ atMs }) => atMs >= flatFromMs + SETTLED_AFTER_MS));
    return {
      component,
      samples: own.length,
      largestMb: Math.max(...own.map(({ residentBytes }) => residentBytes)) / 1e6,
      growthMbPerMinute: slope === null ? null : (slope * 60_000) / 1e6,
      openFilesFirstHalf: files(own.filter(({ atMs }) => atMs < middle)),
      openFilesSecondHalf: files(late),
      answerP50Ms: answers.length === 0 ? null : quantile(answers, 0.5),
      answerP99Ms: answers.length === 0 ? null : quantile(answers, 0.99),
    };
  });
}

function settled(own: readonly Vital[]): readonly Vital[] {
  const bornMs = new Map<number, number>();
  for (const { life, atMs } of own) bornMs.set(life, Math.min(atMs, bornMs.get(life) ?? Infinity));
  return own.filter(({ life, atMs }) => atMs - (bornMs.get(life) ?? 0) >= SETTLED_AFTER_MS);
}

/** Bytes a millisecond: least squares over all long lives together, each about its own mean. Null when there is none. */
export function slopeWithinLives(vitals: readonly Vital[]): number | null {
  const lives = [...Map.groupBy(vitals, ({ life }) => life).values()].filter((life) => life.length >= ENOUGH_SAMPLES);
  let [together, spread] = [0, 0];
  for (const life of lives) {
    const mean = (pick: (vital: Vital) => number): number =>
      life.reduce((sum, one) => sum + pick(one), 0) / life.length;
    const [at, bytes] = [mean(({ atMs }) => atMs), mean(({ residentBytes }) => residentBytes)];
    for (const vital of life) {
      together += (vital.atMs - at) * (vital.residentBytes - bytes);
      spread += (vital.atMs - at) ** 2;
    }
  }
  return spread === 0 ? null : together / spread;
}
