/** What one audited command is, as far as it is known before it runs. Nothing secret: no token, no environment. */
export interface AuditEntry {
  /** `status_panel`, `compose_agent`, or the name of the writer itself (`watchdog`) for its own acts. */
  readonly plane: string;
  /** The agent's id of the caller, or `unknown` where the signature did not hold. */
  readonly caller: string;
  /** e.g. `restart`. */
  readonly command: string;
  readonly target: string | null;
  readonly effect: "read" | "write" | "destructive" | null;
  /** Batch key of the incident that it was done for. */
  readonly incident: string | null;
  /** Row of the queue. */
  readonly commandId: string | null;
  /** Bounded at 2 KiB of JSON; what is longer is replaced by its digest. */
  readonly params?: Readonly<Record<string, unknown>>;
}

/** `refused`: never executed. `unknown`: nobody can say whether it took effect. */
export type AuditVerdict = "ok" | "failed" | "refused" | "unknown";

export interface AuditOutcome {
  readonly verdict: AuditVerdict;
  /** The control API's error code; null for `ok`. */
  readonly code: string | null;
  /** One sentence, cut at 500 characters. */
  readonly why?: string;
}

/** An intent that is on disk. */
export interface AuditHandle {
  readonly seq: number;
  readonly entry: AuditEntry;
}

export interface AuditHead {
  /** Of the last line; 0 = nothing was ever written. */
  readonly seq: number;
  /** SHA-256 of the last line, hex. */
  readonly hash: string;
}

export interface AuditCounts {
  readonly intents: number;
  readonly outcomes: number;
  /** By verdict, since this process opened the trail. */
  readonly byVerdict: Readonly<Record<AuditVerdict, number>>;
  /** Null while lines can be written; else why not. */
  readonly failing: string | null;
}

/**
 * One writer's chain. Every method resolves when its lines are on disk (fsync; lines of callers that come together
 * share one), and rejects with `AuditError` when they are not: then nothing may be executed. An outcome that could not
 * be written is owed: no intent is taken before it is on disk.
 */
export interface AuditTrail extends AsyncDisposable {
  readonly writer: string;
  /** Before the act. */
  intent(entry: AuditEntry): Promise<AuditHandle>;
  /** After the act, once for each intent. */
  outcome(handle: AuditHandle, outcome: AuditOutcome): Promise<void>;
  /** Both lines of a command that is not executed, in one step. */
  refused(entry: AuditEntry, outcome: Omit<AuditOutcome, "verdict">): Promise<void>;
  /** What is no command: `started`, `token-rotated`, a decision of the watchdog. */
  event(name: string, fields: Readonly<Record<string, unknown>>): Promise<void>;
  head(): AuditHead;
  counts(): AuditCounts;
}

/** A second place for the head, which whoever can write the chain's folder should not be able to write. */
export interface AuditAnchor {
  /** Where, for people. */
  readonly place: string;
  /** Null = nothing was ever anchored here. @throws AuditError when it cannot be read, or is not ours. */
  read(key: Buffer, writer: string): AuditHead | null;
  /** @throws AuditError when it cannot be written: commands stop. */
  write(key: Buffer, writer: string, head: AuditHead): void;
}

export interface AuditOptions {
  /** e.g. `compose-agent`, `watchdog`: its folder below `folder`, and its name in every line. */
  readonly writer: string;
  /** Folder of all chains. Made with 0700 when missing. */
  readonly folder: string;
  /** Folder of the key (0700, key 0600), made when missing; mounted into no other container. */
  readonly keyFolder: string;
  readonly anchors: readonly AuditAnchor[];
  /** A file that has grown beyond it is closed and the next one goes on with the chain. Default 16 MiB. */
  readonly maxFileBytes?: number;
}
