import type { Component } from "../../harness/protocol.ts";
import type { Timeline, TimelineEvent } from "../../subjects/tikv/check/recording.ts";
import type { TestCluster } from "./embedded-cluster.ts";

const POLL_MS = 500;
/** Right after a member goes on, it is asked closely: what it says then lasts for less than two polls. */
const CLOSELY = { everyMs: 50, forMs: 1_500 };
const PATIENCE_MS = 5_000;
const PATHS = {
  stores: "/pd/api/v1/stores",
  leader: "/pd/api/v1/leader",
  health: "/pd/api/v1/health",
  etcdHealth: "/health",
};
type What = keyof typeof PATHS;
const WHATS = Object.keys(PATHS) as What[];

/**
 * Does to a cluster what was done to the recorded one, at the same times, and polls it as that one was polled: every
 * path of every member each half second, five seconds of patience, changes only; one that goes on is also asked closely. `align` is awaited just before the
 * first deed; the later ones come `laterMs` after their recorded times.
 */
export async function runTimeline(
  recorded: Timeline,
  cluster: TestCluster,
  ourName: (recorded: string) => string,
  signal: AbortSignal,
  { align, laterMs = 0 }: { readonly align?: (() => Promise<void>) | undefined; readonly laterMs?: number | undefined },
): Promise<TimelineEvent[]> {
  const deeds = recorded.events.filter((event) => event.did !== undefined);
  const events: TimelineEvent[] = [];
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const clock = { faultAt: null as number | null };
  const since = () => (clock.faultAt === null ? null : Math.round(performance.now() - clock.faultAt));
  const last = new Map<string, string>();
  const look = async (member: string, what: What) => {
    const value = await seen(cluster.pd[member] as string, what, both);
    const now = JSON.stringify(value);
    if (both.aborted || last.get(`${member} ${what}`) === now) return;
    last.set(`${member} ${what}`, now);
    events.push({ sinceFaultMs: since(), member, what, value });
  };
  const everywhere = Object.keys(cluster.pd).flatMap((member) => WHATS.map((what) => [member, what] as const));
  const loops = everywhere.map(([member, what]) => poll(() => look(member, what), POLL_MS, both));
  // Three polls and a half: a deed in the very moment of a poll would leave nothing else to be seen for five seconds.
  await settle(3.5 * POLL_MS, signal);
  await align?.();
  clock.faultAt = performance.now();
  for (const [index, { sinceFaultMs, did }] of deeds.entries()) {
    const at = (sinceFaultMs ?? 0) + (index === 0 ? 0 : laterMs);
    await settle(clock.faultAt + at - performance.now(), signal);
    const deed = inOurNames(did ?? "", ourName);
    events.push({ sinceFaultMs: since(), value: undefined, did: deed });
    await carryOut(deed, cluster, signal);
    const goesOn = /unpause (pd\d)/.exec(deed)?.[1];
    if (goesOn === undefined) continue;
    const closely = AbortSignal.any([both, AbortSignal.timeout(CLOSELY.forMs)]);
    for (const what of WHATS) loops.push(poll(() => look(goesOn, what), CLOSELY.everyMs, closely));
  }
  const end = Math.max(...recorded.events.map((event) => event.sinceFaultMs ?? 0));
  await settle(clock.faultAt + end + laterMs + 12_000 - performance.now(), signal);
  stop.abort();
  await Promise.all(loops);
  return events;
}

async function poll(look: () => Promise<void>, everyMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now();
    await look();
    await settle(began + everyMs - performance.now(), signal).catch(() => {});
  }
}

async function seen(url: string, what: What, signal: AbortSignal): Promise<unknown> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const reply = await fetch(`${url}${PATHS[what]}`, { signal: AbortSignal.any([signal, patience]) });
    const body = await reply.text();
    if (what === "etcdHealth") return { status: reply.status, body: body.trim() };
    return reply.status === 200 ? digest(what, JSON.parse(body)) : { status: reply.status, body };
  } catch {
    return { status: 0, body: patience.aborted ? "TimeoutError" : "ConnectionRefusedError" };
  }
}

function digest(what: What, body: any): unknown {
  if (what === "leader") return body?.name ?? null;
  if (what === "health") return Object.fromEntries(body.map((member: any) => [member.name, member.health]));
  const stores = body.stores.map(({ store, status }: any) => [
    store.address,
    { state: store.state_name, leaders: status.leader_count ?? 0 },
  ]);
  return Object.fromEntries(stores.sort());
}

const inOurNames = (deed: string, ourName: (recorded: string) => string): string =>
  deed.replaceAll(/\b(pd|tikv)\d\b/g, (name) => ourName(name));

/** `docker kill pd0 pd1` and the like, on the process engine. */
async function carryOut(deed: string, { instance: { engine } }: TestCluster, signal: AbortSignal): Promise<void> {
  const names = [...new Set(deed.match(/\b(?:pd|tikv)\d\b/g))] as Component[];
  const verb = /network (?:dis)?connect|kill|start|unpause|pause/.exec(deed)?.[0];
  await Promise.all(
    names.map((name) => {
      switch (verb) {
        case "kill":
          return engine.kill(name, {}, signal);
        case "start":
          return engine.start(name, signal);
        case "pause":
          return engine.pause(name, signal);
        case "unpause":
          return engine.unpause(name, signal);
        case "network disconnect":
          return engine.disconnect(name, signal);
        case "network connect":
          return engine.connect(name, {}, signal);
        default:
          throw new Error(`cannot do "${deed}"`);
      }
    }),
  );
}

const settle = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(resolve, Math.max(0, ms));
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true });
  });
