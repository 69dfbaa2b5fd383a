import { readFileSync } from "node:fs";
import type { Clock } from "../../harness/base/clock.ts";

interface TimelineEvent {
  /** Null: as it was before the fault. */
  readonly sinceFaultMs: number | null;
  readonly member?: string;
  readonly what?: "stores" | "leader" | "health" | "etcdHealth";
  readonly value?: unknown;
  readonly did?: string;
}

interface Failure {
  readonly status: number;
  readonly body: string;
}

const fixture = (name: string) =>
  JSON.parse(
    readFileSync(new URL(`../../subjects/tikv/check/recordings/pd-8.5.7/${name}.json`, import.meta.url), "utf8"),
  ) as {
    readonly events: readonly TimelineEvent[];
  };

const PATHS: Readonly<Record<string, NonNullable<TimelineEvent["what"]>>> = {
  "/pd/api/v1/stores": "stores",
  "/pd/api/v1/leader": "leader",
  "/pd/api/v1/health": "health",
  "/health": "etcdHealth",
};

/**
 * A recorded timeline as three PD members behind `fetch`: what each answered at that time since the fault, refusals
 * and silences included. Time is the given clock's; the fault comes `faultAtMs` on it.
 */
export class RecordedPd {
  readonly members = { pd0: "http://pd0:2379", pd1: "http://pd1:2379", pd2: "http://pd2:2379" };
  readonly lastsMs: number;
  readonly #events: readonly TimelineEvent[];
  readonly #clock: Clock;
  readonly #faultAtMs: number;

  constructor(name: string, clock: Clock, faultAtMs: number) {
    this.#events = fixture(name).events;
    this.#clock = clock;
    this.#faultAtMs = faultAtMs;
    this.lastsMs = Math.max(...this.#events.map((e) => e.sinceFaultMs ?? 0));
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const url = new URL(String(input));
    const what = PATHS[url.pathname];
    const value = this.#now(url.hostname, what ?? "etcdHealth");
    if (isFailure(value) && value.status === 0) {
      if (value.body === "TimeoutError") return silence(init?.signal ?? null);
      throw new TypeError("fetch failed", { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) });
    }
    if (url.pathname === "/livez") return new Response("ok\n");
    if (what === undefined) return new Response("404 page not found\n", { status: 404 });
    if (isFailure(value)) return new Response(value.body, { status: value.status });
    return Response.json(shaped(what, value));
  };

  /** What the recorder saw at this instant: the last change before it. */
  #now(member: string, what: string): unknown {
    const since = this.#clock.monotonic() - this.#faultAtMs;
    return this.#events.findLast(
      (e) => e.member === member && e.what === what && (e.sinceFaultMs === null || e.sinceFaultMs <= since),
    )?.value;
  }
}

function isFailure(value: unknown): value is Failure {
  return typeof value === "object" && value !== null && "status" in value;
}

/** Accepts, and never answers. */
function silence(signal: AbortSignal | null): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

/** The timelines keep only what matters of each answer: this puts PD's shape around it. */
function shaped(what: string, value: unknown): unknown {
  const member = (name: string) => ({ name, member_id: 1, client_urls: [`http://${name}:2379`] });
  switch (what) {
    case "leader":
      return value === null ? null : member(value as string);
    case "stores": {
      const stores = Object.entries(value as Record<string, { state: string; leaders: number }>);
      return {
        count: stores.length,
        stores: stores.map(([name, { state, leaders }], index) => ({
          store: { id: index + 1, address: `${name}:20160`, state_name: state },
          status: { leader_count: leaders },
        })),
      };
    }
    default:
      return Object.entries(value as Record<string, boolean>).map(([name, health]) => ({ ...member(name), health }));
  }
}
