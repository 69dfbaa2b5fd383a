import { createHash, timingSafeEqual } from "node:crypto";
import type { Deps } from "../protocol.ts";

const IDLE_MS = 2 * 60 * 60_000;
const LIFE_MS = 12 * 60 * 60_000;
const MAX_SIGN_INS = 1_000;

/** Somebody who is signed in. */
export interface SignIn {
  readonly name: string;
  /** Of the password that was used: a new one ends it. */
  readonly mark: string | null;
  /** Sent with every form; another page cannot know it. */
  readonly formToken: string;
}

/** Who is signed in: in memory, so a restart of the panel signs everybody out. */
export interface SignIns {
  /** @returns what goes into the cookie. Only its digest is kept. */
  begin(name: string, mark: string | null): string;
  find(cookie: string | undefined): SignIn | null;
  end(cookie: string | undefined): void;
}

interface Kept extends SignIn {
  readonly beganMs: number;
  seenMs: number;
}

export function openSignIns({ clock, ids }: Pick<Deps, "clock" | "ids">): SignIns {
  const kept = new Map<string, Kept>();
  const isOver = ({ beganMs, seenMs }: Kept): boolean => {
    const now = clock.monotonic();
    return now - beganMs > LIFE_MS || now - seenMs > IDLE_MS;
  };
  return {
    begin: (name, mark) => {
      for (const [key, one] of kept) if (isOver(one)) kept.delete(key);
      const oldest = kept.keys().next().value;
      if (kept.size >= MAX_SIGN_INS && oldest !== undefined) kept.delete(oldest);
      const cookie = ids.hex(32);
      const now = clock.monotonic();
      kept.set(digest(cookie), { name, mark, formToken: ids.hex(32), beganMs: now, seenMs: now });
      return cookie;
    },
    find: (cookie) => {
      if (cookie === undefined) return null;
      const key = digest(cookie);
      const one = kept.get(key);
      if (one === undefined) return null;
      if (isOver(one)) {
        kept.delete(key);
        return null;
      }
      one.seenMs = clock.monotonic();
      return one;
    },
    end: (cookie) => void kept.delete(digest(cookie ?? "")),
  };
}

/** Compares what a form brought with what it should. */
export function sameToken(given: string, expected: string): boolean {
  return timingSafeEqual(Buffer.from(digest(given)), Buffer.from(digest(expected)));
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
