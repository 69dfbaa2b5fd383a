import type { TimelineEvent } from "../../subjects/tikv/check/recording.ts";

export interface Seen {
  readonly atMs: number;
  /** What was seen, in the words of roles: `leader old`, `some Disconnected`, `500 ErrRedirect`. */
  readonly what: string;
}

/** By role of the member and path: what was seen there, each change once. `before` is what was seen first. */
export type Sights = Readonly<Record<string, readonly Seen[]>>;

/** Members by what they are in a timeline: who led, who leads next, who is left. */
export interface Cast {
  readonly old: string;
  readonly next: string;
  readonly other: string;
}

/** Members of the same role are called the same, so that two runs can be laid side by side. */
export function castOf(events: readonly TimelineEvent[], members: readonly string[]): Cast {
  const named = (event: TimelineEvent) => event.what === "leader" && typeof event.value === "string";
  const old = String(events.find((event) => event.sinceFaultMs === null && named(event))?.value);
  const later = events.find((event) => event.sinceFaultMs !== null && named(event) && event.value !== old);
  const followers = members.filter((name) => name !== old);
  // Killed members cannot be next; without a change of leader it does not matter which is which.
  const killed = events.flatMap(({ did }) => (did?.includes("kill") ? (did.match(/\bpd\d\b/g) ?? []) : []));
  const next =
    typeof later?.value === "string" ? later.value : (followers.find((name) => !killed.includes(name)) ?? "");
  return { old, next, other: followers.find((name) => name !== next) ?? "" };
}

/** What each member showed, in order, without counts of leaders, whose numbers are each cluster's own. */
export function sightsOf(events: readonly TimelineEvent[], cast: Cast): Sights {
  const roles = Object.fromEntries(Object.entries(cast).map(([role, name]) => [name, role]));
  const sights: Record<string, Seen[]> = {};
  for (const { sinceFaultMs, member, what, value } of events) {
    if (member === undefined || what === undefined) continue;
    const key = `${roles[member]} ${what}`;
    const seen = words(what, value, roles);
    const list = (sights[key] ??= []);
    if (list.at(-1)?.what !== seen) list.push({ atMs: sinceFaultMs ?? -1, what: seen });
  }
  return sights;
}

function words(what: string, value: unknown, roles: Readonly<Record<string, string>>): string {
  if (isReply(value)) {
    if (value.status === 0) return value.body.includes("Timeout") ? "no answer" : "refused";
    const body = value.body.includes("PANIC") ? "PANIC" : value.body.trim();
    return what === "etcdHealth" && value.status === 200 ? "healthy" : `${value.status} ${body}`;
  }
  if (what === "leader") return `leader ${roles[String(value)] ?? String(value)}`;
  if (what === "health") {
    const sick = Object.entries(value as Record<string, boolean>).filter(([, health]) => !health);
    return sick.length === 0
      ? "all healthy"
      : `sick: ${sick
          .map(([name]) => roles[name])
          .sort()
          .join(", ")}`;
  }
  const states = Object.values(value as Record<string, { state: string }>).map(({ state }) => state);
  return states.every((state) => state === "Up") ? "all Up" : "some Disconnected";
}

const isReply = (value: unknown): value is { readonly status: number; readonly body: string } =>
  typeof value === "object" && value !== null && typeof (value as { status?: unknown }).status === "number";
