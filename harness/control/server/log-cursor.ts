import { createHash } from "node:crypto";
import { z } from "zod";
import type { Component, Engine, EpochMs, LogLine } from "../../protocol.ts";
import { HarnessError } from "../../base/errors.ts";

/** What `logs` returns. */
export interface LogPage {
  /** Oldest first. */
  readonly lines: readonly LogLine[];
  /** For the next call: exactly what comes after these lines. */
  readonly cursor: string;
  /** There is more already. */
  readonly more: boolean;
  /** Lines may have been lost before these: the log was cut, or the container is a new one. */
  readonly gap: boolean;
}

/**
 * A place in a log. The log is a sequence that only grows at its end, and so is the part of it that is not older than
 * `from`: `count` of those lines have been seen, the last of them with digest `last`. Lines carry the time of their
 * arrival, which two streams may note out of order by a little; hence `from` lies before the last line.
 */
const place = z.strictObject({
  from: z.number(),
  count: z.int().nonnegative(),
  last: z.string().nullable(),
});
type Place = z.output<typeof place>;

/** How far apart arrival times of neighbouring lines can be out of order. */
const OVERLAP_MS = 2_000;
const DEFAULT_TAIL = 100;
const DEFAULT_LIMIT = 1_000;
/** Read at once at most: a log of gigabytes must not be held. Who is further behind is told of a gap. */
const MOST_LINES = 50_000;
/** Looked through for a place that was lost. */
const SEARCH_LINES = 20_000;
/** As many alike in a row are the same lines. */
const SAME_LINES = 50;
const START = { from: 0, count: 0, last: null };

export interface LogQuery {
  readonly tail?: number | undefined;
  readonly since_ms?: number | undefined;
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

/** @throws HarnessError `usage` for a cursor that is none of ours; EngineError as `Engine.logs`. */
export async function readLog(
  engine: Pick<Engine, "logs">,
  component: Component,
  query: LogQuery,
  signal: AbortSignal,
): Promise<LogPage> {
  const { tail = DEFAULT_TAIL, limit = DEFAULT_LIMIT } = query;
  if (query.cursor !== undefined) return await readOn(engine, component, parse(query.cursor), limit, signal);
  // With `since_ms` alone all of them, from the oldest on; else the newest.
  const fromOldest = query.tail === undefined && query.since_ms !== undefined;
  const since = query.since_ms === undefined ? {} : { since: query.since_ms as EpochMs };
  const bound = fromOldest ? SEARCH_LINES : Math.max(tail, 1);
  const lines = await engine.logs(component, { tail: bound, ...since }, signal);
  const shown = fromOldest ? lines.slice(0, limit) : lines.slice(-limit);
  const at = await placeAt(engine, component, shown, signal);
  const more = shown.at(-1) !== lines.at(-1);
  return { lines: !fromOldest && tail === 0 ? [] : shown, cursor: format(at), more, gap: false };
}

/** The place after these lines, which are some of a log: how many are not older than `from` has to be looked up. */
async function placeAt(
  engine: Pick<Engine, "logs">,
  component: Component,
  shown: readonly LogLine[],
  signal: AbortSignal,
): Promise<Place> {
  const last = shown.at(-1);
  if (last === undefined) return START;
  const from = Math.max(0, (last.at ?? 0) - OVERLAP_MS);
  const known = (await engine.logs(component, { since: from as EpochMs, tail: MOST_LINES }, signal)).filter(
    notBefore(from),
  );
  return { from, count: endOf(shown, known) ?? 0, last: digest(last) };
}

/** Where the last of `shown` stand in `lines`: the index after them; null = they do not. */
function endOf(shown: readonly LogLine[], lines: readonly LogLine[]): number | null {
  const wanted = shown.slice(-SAME_LINES).map(digest);
  const there = lines.map(digest);
  for (let end = there.length; end > 0; end--) {
    const before = there.slice(Math.max(0, end - wanted.length), end);
    if (wanted.slice(-before.length).every((each, index) => each === before[index])) return end;
  }
  return null;
}

async function readOn(
  engine: Pick<Engine, "logs">,
  component: Component,
  at: Place,
  limit: number,
  signal: AbortSignal,
): Promise<LogPage> {
  const read = await engine.logs(component, { since: at.from as EpochMs, tail: MOST_LINES }, signal);
  const known = read.filter(notBefore(at.from));
  const found = position(known, at);
  // There is more between the place and the oldest of these than is read at once.
  if (read.length >= MOST_LINES && (found === null || found === 0)) return page(known, 0, limit, at.from, true);
  const isEnd = async (): Promise<boolean> => {
    const [end] = await engine.logs(component, { tail: 1 }, signal);
    return end === undefined || digest(end) === at.last;
  };
  // Nothing new since then is only true if the end is where it was: the clock may have gone back.
  if (found !== null && (found < known.length || (await isEnd()))) return page(known, found, limit, at.from, false);
  // The place is gone: the log was cut, the container is a new one, or the clock of the engine went back.
  const all = await engine.logs(component, { tail: SEARCH_LINES }, signal);
  const again = at.last === null ? null : lastIndexOf(all, at.last);
  return again === null ? page(all, 0, limit, 0, at.last !== null) : page(all, again + 1, limit, 0, false);
}

/** How many of the lines have been seen; null = the place is not among them. */
function position(lines: readonly LogLine[], { count, last }: Place): number | null {
  if (last === null) return count === 0 ? 0 : null;
  if (count === 0) return null;
  const before = lines[count - 1];
  if (before !== undefined && digest(before) === last) return count;
  const index = lastIndexOf(lines, last);
  return index === null ? null : index + 1;
}

/** @param oldest `lines` are all that are not older. */
function page(lines: readonly LogLine[], from: number, limit: number, oldest: number, gap: boolean): LogPage {
  const shown = lines.slice(from, from + limit);
  const read = lines.slice(0, from + shown.length);
  return { lines: shown, cursor: format(placeAfter(read, oldest)), more: from + limit < lines.length, gap };
}

function placeAfter(lines: readonly LogLine[], oldest: number): Place {
  const last = lines.at(-1);
  if (last === undefined) return START;
  const from = Math.max(oldest, (last.at ?? 0) - OVERLAP_MS, 0);
  return { from, count: lines.filter(notBefore(from)).length, last: digest(last) };
}

/** A line without a time passes every filter, as it does with the engine. */
const notBefore =
  (from: number) =>
  ({ at }: LogLine): boolean =>
    at === null || at >= from;

function lastIndexOf(lines: readonly LogLine[], last: string): number | null {
  const index = lines.findLastIndex((line) => digest(line) === last);
  return index < 0 ? null : index;
}

function digest({ stream, at, text }: LogLine): string {
  return createHash("sha256")
    .update(`${stream}\n${at ?? ""}\n${text}`)
    .digest("base64url")
    .slice(0, 22);
}

function format(at: Place): string {
  return Buffer.from(JSON.stringify(at)).toString("base64url");
}

function parse(text: string): Place {
  try {
    return place.parse(JSON.parse(Buffer.from(text, "base64url").toString("utf8")));
  } catch {
    throw new HarnessError("usage", "the cursor is none of ours: ask without one first");
  }
}
