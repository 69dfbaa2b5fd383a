import type { Component, EpochMs, LogLine } from "../../harness/protocol.ts";

/** A harm as it was: lines are judged by what was going on around them. */
export interface Harm {
  readonly kind: string;
  readonly target: Component;
  readonly fromMs: EpochMs;
  /** Healed, and everything well again. */
  readonly untilMs: EpochMs;
}

export interface ExpectedLine {
  readonly role: "pd" | "tikv";
  readonly text: RegExp;
  /** Kinds of harm to whomever; empty = also at any other time. */
  readonly during: readonly string[];
  readonly why: string;
}

const ANY = ["kill", "hang", "isolate", "crash-loop"];
/** The cluster's own start counts as a harm: its members begin at different moments. */
export const START = "start";

/** Warnings and errors that a sound cluster writes while it is being harmed. */
export const EXPECTED_LINES: readonly ExpectedLine[] = [
  {
    role: "tikv",
    text: /"?(connection abort|wait connect timeout)/,
    during: ANY,
    why: "a store that is away is known by the raft connection to it",
  },
  {
    role: "tikv",
    text: /failed to remove space holder on starting/,
    during: [START],
    why: "the folder of a new store holds none yet",
  },
  {
    role: "tikv",
    text: /found long uncommitted proposals/,
    during: ANY,
    why: "a leader without a majority",
  },
  {
    role: "tikv",
    text: /resolve store address failed/,
    during: [...ANY, START],
    why: "who knows addresses, PD's leader, is away",
  },
  {
    role: "tikv",
    text: /validate PD endpoints failed|reconnect failed|request failed, retry/,
    during: [...ANY, START],
    why: "a member of PD is away, or PD has no leader",
  },
  {
    role: "tikv",
    text: /send heartbeat failed|store heartbeat failed|report split failed/,
    during: [...ANY, START],
    why: "the stream to PD's leader ended with that leader; on a busy machine a start has late answers",
  },
  {
    role: "tikv",
    text: /found long uncommitted proposals/,
    during: ANY,
    why: "a leader that was cut off from its majority has proposed in vain",
  },
  {
    role: "tikv",
    text: /region heartbeat was refused/,
    during: ANY,
    why: "the report of a leader that was deposed meanwhile is late",
  },
  {
    role: "tikv",
    text: /failed to propose confchange.*duplicated peer/,
    during: [],
    why: "PD asks again until the region's heartbeat shows the change, as the real one does",
  },
  {
    role: "tikv",
    text: /leader missing longer than abnormal_leader_missing_duration/,
    during: ANY,
    why: "a store that was away for long says so of its regions",
  },
  {
    role: "tikv",
    text: /failed to remove space holder on starting: No such file/,
    during: [START],
    why: "a new store has none yet",
  },
  { role: "tikv", text: /ignore remove leader/, during: ANY, why: "a leader does not remove itself; PD asks again" },
  {
    role: "pd",
    text: /campaign PD leader meets error due to etcd error|transfer leader failed|failed to transfer etcd leader/,
    during: ANY,
    why: "leadership was lost before it was complete",
  },
  {
    role: "pd",
    text: /lost TCP streaming connection with remote peer/,
    during: ANY,
    why: "a member that is away is known by the connection to it",
  },
  {
    role: "pd",
    text: /store has been (offline|up)|store .*(Disconnected|disconnect)/,
    during: ANY,
    why: "a store that is away misses its heartbeats; a new leader has heard of none yet",
  },
];

/** How long after all is well a line may still speak of the harm: what was under way has its own time-outs. */
const ECHO_MS = 5_000;

export interface UnexpectedLine {
  readonly component: Component;
  readonly atMs: EpochMs | null;
  readonly text: string;
}

const LEVEL = /^\[\d{4}\/\d\d\/\d\d [\d:.]+ [+-]\d\d:\d\d\] \[(DEBUG|INFO|WARN|ERROR|FATAL)\] /;

/** Lines that are neither ordinary nor expected of what was going on; those of no known form, such as a stack, too. */
export function unexpectedLines(
  component: Component,
  role: "pd" | "tikv",
  lines: readonly LogLine[],
  harms: readonly Harm[],
): readonly UnexpectedLine[] {
  return lines
    .filter(({ at, text }) => {
      const level = LEVEL.exec(text)?.[1];
      if (level === "DEBUG" || level === "INFO") return false;
      if (level === "FATAL") return true;
      const around = new Set(harms.filter((harm) => isAround(harm, at)).map(({ kind }) => kind));
      return !EXPECTED_LINES.some(
        (line) =>
          line.role === role &&
          line.text.test(text) &&
          (line.during.length === 0 || line.during.some((kind) => around.has(kind))),
      );
    })
    .map(({ at, text }) => ({ component, atMs: at, text }));
}

function isAround({ fromMs, untilMs }: Harm, atMs: EpochMs | null): boolean {
  return atMs !== null && atMs >= fromMs && atMs <= untilMs + ECHO_MS;
}
