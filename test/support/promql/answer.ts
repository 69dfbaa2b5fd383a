import { QueryError } from "../../../subjects/common/prometheus/promql/errors.ts";
import { queryInstant, queryRange } from "../../../subjects/common/prometheus/query.ts";
import type { Storage } from "../../../subjects/common/prometheus/storage.ts";
import { queryOptions } from "../prometheus-series.ts";
import type { DataSeries } from "./dataset.ts";
import type { GeneratedQuery } from "./generate.ts";

/** A result in a form that can be compared: points by series, or the kind of error. */
export interface Answer {
  readonly type: string;
  readonly text?: string;
  /** `bad_data` or `execution`, and the words. */
  readonly error?: { readonly kind: string; readonly message: string };
  readonly series: readonly AnsweredSeries[];
}
export interface AnsweredSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [number, number])[];
}

export function store(storage: Storage, data: readonly DataSeries[]): Storage {
  for (const { labels, times, values } of data)
    times.forEach((timeMs, index) => {
      const value = values[index] as number | "stale";
      if (value === "stale") storage.markStale(storage.append(labels, -Infinity, 0).key, timeMs);
      else storage.append(labels, timeMs, value);
    });
  return storage;
}

export async function ourAnswer(storage: Storage, query: GeneratedQuery): Promise<Answer> {
  try {
    if (query.stepMs > 0) {
      const results = await queryRange(storage, query.text, query, queryOptions);
      return { type: "matrix", series: results };
    }
    const value = await queryInstant(storage, query.text, query.startMs, queryOptions);
    switch (value.type) {
      case "scalar":
        return { type: "scalar", series: [{ labels: {}, points: [[query.startMs, value.value]] }] };
      case "string":
        return { type: "string", text: value.value, series: [] };
      case "vector":
        return {
          type: "vector",
          series: value.samples.map(({ labels, value: each }) => ({ labels, points: [[query.startMs, each]] })),
        };
      case "matrix":
        return {
          type: "matrix",
          series: value.series.map(({ labels, times, values }) => ({
            labels,
            points: Array.from(times, (time, index) => [time, values[index] as number] as const),
          })),
        };
    }
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return { type: "error", error: { kind: error.type, message: error.message }, series: [] };
  }
}

/** @returns what differs first, or null. Values may differ by `tolerance` of their size, or by `absolute`. */
export function difference(
  mine: Answer,
  theirs: Answer,
  { text, tolerance, absolute = 0 }: { readonly text: string; readonly tolerance: number; readonly absolute?: number },
): string | null {
  if (mine.error !== undefined || theirs.error !== undefined) {
    if (mine.error?.kind === theirs.error?.kind) return null;
    return `ours: ${mine.error?.message ?? "a result"}\n  real: ${theirs.error?.message ?? "a result"}`;
  }
  if (mine.type !== theirs.type) return `type ${mine.type}, really ${theirs.type}`;
  if (mine.text !== theirs.text) return `text ${mine.text}, really ${theirs.text}`;
  const [ours, real] = [byLabels(mine.series), byLabels(theirs.series)];
  for (const key of new Set([...ours.keys(), ...real.keys()])) {
    const [a, b] = [ours.get(key), real.get(key)];
    if (a === undefined || b === undefined) return `${key} only in ${a === undefined ? "the real one's" : "ours"}`;
    if (a.length !== b.length) return `${key}: ${a.length} points, really ${b.length}`;
    for (const [index, [timeMs, value]] of a.entries()) {
      const [realTime, realValue] = b[index] as readonly [number, number];
      if (timeMs !== realTime) return `${key}: a point at ${timeMs}, really ${realTime}`;
      if (!close(value, realValue, tolerance) && !(Math.abs(value - realValue) <= absolute))
        return `${key} at ${timeMs}: ${value}, really ${realValue}`;
    }
  }
  return /^(sort|topk|bottomk)/.test(text) ? outOfOrder(mine, theirs) : null;
}

/** What `sort` and `topk` give at one instant is in order; NaN and equals may be in any. */
function outOfOrder(mine: Answer, theirs: Answer): string | null {
  if (mine.type !== "vector" || !isSorted(theirs.series.map(valueOf)) || isSorted(mine.series.map(valueOf)))
    return null;
  return `not in order: ${mine.series.map(valueOf).join(" ")}`;
}

function valueOf({ points }: AnsweredSeries): number {
  return points[0]?.[1] ?? NaN;
}

function isSorted(values: readonly number[]): boolean {
  const numbers = values.filter((value) => !Number.isNaN(value));
  const steps = numbers.slice(1).map((value, index) => Math.sign(value - (numbers[index] as number)));
  return !steps.includes(1) || !steps.includes(-1);
}

function byLabels(series: Answer["series"]): Map<string, AnsweredSeries["points"]> {
  const sorted = (labels: AnsweredSeries["labels"]) => JSON.stringify(Object.entries(labels ?? {}).sort());
  return new Map(series.map(({ labels, points }) => [sorted(labels), points]));
}

function close(a: number, b: number, tolerance: number): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

export function goNumber(text: string): number {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}
