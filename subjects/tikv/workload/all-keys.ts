import type { Clock } from "../../../harness/base/clock.ts";
import { Deadline } from "./deadline.ts";
import type { RawClient, RawResult } from "./raw-client.ts";

const CONCURRENCY = 32;

/**
 * Does one thing with every key, again and again until it succeeds.
 *
 * @returns what each key answered, or null when some key had no answer within `timeoutMs`.
 */
export async function forAllKeys(
  keys: Iterable<string>,
  act: (key: string, signal: AbortSignal) => Promise<RawResult>,
  { clock, timeoutMs, signal }: { clock: Clock; timeoutMs: number; signal: AbortSignal },
): Promise<ReadonlyMap<string, string | null> | null> {
  using deadline = new Deadline(clock, timeoutMs, signal);
  const pending = keys[Symbol.iterator]();
  const answers = new Map<string, string | null>();
  const worker = async () => {
    for (let next = pending.next(); next.done !== true; next = pending.next()) {
      let result = await act(next.value, deadline.signal);
      while (result.outcome !== "ok" && !deadline.signal.aborted) result = await act(next.value, deadline.signal);
      if (result.outcome !== "ok") return false;
      answers.set(next.value, result.value);
    }
    return true;
  };
  const done = await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return done.every(Boolean) ? answers : null;
}

/** Values of the keys that exist, read by a client without any cached route; null when some could not be read. */
export async function readAll(
  client: Pick<RawClient, "get">,
  keys: Iterable<string>,
  options: { clock: Clock; timeoutMs: number; signal: AbortSignal },
): Promise<ReadonlyMap<string, string> | null> {
  const answers = await forAllKeys(keys, (key, signal) => client.get(key, signal), options);
  if (answers === null) return null;
  return new Map([...answers].filter((entry): entry is [string, string] => entry[1] !== null));
}
