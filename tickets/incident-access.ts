import { createHash } from "node:crypto";
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import { z } from "zod";
import type { EpochMs } from "../harness/base/clock.ts";
import { HarnessError } from "../harness/base/errors.ts";
import type { Ids } from "../harness/base/ids.ts";
import type { Effect, InstanceId } from "../harness/protocol.ts";
import type { TicketFile } from "./ticket-file.ts";
import type { Claim } from "./types.ts";

/** An incident that somebody from outside may work on, and where its session listens. */
export interface Door {
  readonly claim: Claim;
  readonly instance: InstanceId;
  /**
   * A Unix socket on this machine. One below the ticket file's folder is found by its place there: a container and its
   * host, which know the folder by different paths, mean the same socket.
   */
  readonly socketPath: string;
}

/** What a token lets its bearer do, as long as it does. */
export interface Admission extends Door {
  /** Names the token without giving it away: the first 16 hex digits of its SHA-256. */
  readonly fingerprint: string;
  /** The effects that its calls may have. */
  readonly scopes: readonly Effect[];
  readonly remainingMs: number;
}

export interface IssuedToken extends Admission {
  /** The only time that it is seen: the file keeps its SHA-256. */
  readonly token: string;
  readonly expiresAt: EpochMs;
}

/**
 * Short-lived bearer tokens for one incident. One is worth something only while the claim for which it was issued
 * lives (holder, attempt, lease) and a session listens for it; it is not a key, and signs nothing.
 *
 * All methods throw as `Tickets` does.
 */
export interface IncidentAccess {
  /** A session listens for this claim from now on. */
  open(door: Door): Promise<void>;
  /** It does no more; its tokens are worth nothing from now on. */
  close(claim: Claim): Promise<void>;
  /** Of live claims, newest first. */
  doors(): Promise<readonly Door[]>;
  /** @throws HarnessError `not-found` when no session listens for this incident. */
  issue(asked: {
    readonly batchKey: string;
    readonly scopes: readonly Effect[];
    readonly ttlMs: number;
  }): Promise<IssuedToken>;
  /** Null for a token that is unknown, expired, revoked, or whose claim has ended. */
  check(token: string): Promise<Admission | null>;
  /** All of an incident. @returns how many were good until now. */
  revoke(batchKey: string): Promise<number>;
}

const LIVE_DOOR = `FROM incident_doors d WHERE EXISTS (SELECT 1 FROM tickets t WHERE t.batch_key = d.batch_key
  AND t.holder = d.holder AND t.attempt = d.attempt AND t.status = 'acknowledged' AND t.lease_until_ms > @now)`;

/** Who may come in to an incident from outside: side tables of the ticket file. */
export class AccessBook implements IncidentAccess {
  readonly #file: TicketFile;
  readonly #ids: Ids;

  constructor(file: TicketFile, ids: Ids) {
    this.#file = file;
    this.#ids = ids;
  }

  open({ claim, instance, socketPath }: Door): Promise<void> {
    return this.#file.write(({ ms }) => {
      this.#file
        .sql(
          `INSERT OR REPLACE INTO incident_doors (batch_key, holder, attempt, instance, socket, opened_ms)
           VALUES (@batchKey, @holder, @attempt, @instance, @socketPath, @now)`,
        )
        .run({ ...bare(claim), instance, socketPath: placeOf(socketPath, this.#file.path), now: ms });
    });
  }

  close(claim: Claim): Promise<void> {
    return this.#file.write(() => {
      for (const table of ["incident_doors", "incident_tokens"])
        this.#file
          .sql(`DELETE FROM ${table} WHERE batch_key = @batchKey AND holder = @holder AND attempt = @attempt`)
          .run(bare(claim));
    });
  }

  doors(): Promise<readonly Door[]> {
    return this.#file.read(({ ms }) =>
      this.#file
        .sql(`SELECT d.* ${LIVE_DOOR} ORDER BY d.opened_ms DESC`)
        .all({ now: ms })
        .map((row) => this.#door(row)),
    );
  }

  issue({
    batchKey,
    scopes,
    ttlMs,
  }: {
    readonly batchKey: string;
    readonly scopes: readonly Effect[];
    readonly ttlMs: number;
  }): Promise<IssuedToken> {
    return this.#file.write(({ ms }) => {
      const row = this.#file
        .sql(`SELECT d.* ${LIVE_DOOR} AND d.batch_key = @batchKey ORDER BY d.attempt DESC LIMIT 1`)
        .get({ batchKey, now: ms });
      if (row === undefined)
        throw new HarnessError("not-found", `no session waits for a client on incident ${batchKey}`);
      const door = this.#door(row);
      const token = `inc_${this.#ids.hex(32)}`;
      const digest = digestOfToken(token);
      this.#file
        .sql(
          `INSERT INTO incident_tokens (digest, batch_key, holder, attempt, scopes, issued_ms, expires_ms)
           VALUES (@digest, @batchKey, @holder, @attempt, @scopes, @now, @until)`,
        )
        .run({ ...bare(door.claim), digest, scopes: scopes.join(" "), now: ms, until: ms + ttlMs });
      const expiresAt = (ms + ttlMs) as EpochMs;
      return { ...door, token, fingerprint: fingerprint(digest), scopes: [...scopes], remainingMs: ttlMs, expiresAt };
    });
  }

  check(token: string): Promise<Admission | null> {
    const digest = digestOfToken(token);
    return this.#file.read(({ ms }) => {
      const row = this.#file
        .sql(
          `SELECT d.*, k.scopes, k.expires_ms - @now AS left_ms FROM incident_tokens k
           JOIN (SELECT d.* ${LIVE_DOOR}) d
             ON d.batch_key = k.batch_key AND d.holder = k.holder AND d.attempt = k.attempt
           WHERE k.digest = @digest AND k.expires_ms > @now`,
        )
        .get({ digest, now: ms });
      if (row === undefined) return null;
      const { scopes, left_ms } = tokenRow.parse(row);
      return { ...this.#door(row), fingerprint: fingerprint(digest), scopes, remainingMs: left_ms };
    });
  }

  revoke(batchKey: string): Promise<number> {
    return this.#file.write(({ ms }) => {
      const { changes } = this.#file
        .sql("UPDATE incident_tokens SET expires_ms = @now WHERE batch_key = @batchKey AND expires_ms > @now")
        .run({ batchKey, now: ms });
      return changes;
    });
  }

  #door(row: unknown): Door {
    const d = doorRow.parse(row);
    return {
      claim: { batchKey: d.batch_key, holder: d.holder, attempt: d.attempt },
      instance: d.instance as InstanceId,
      socketPath: resolve(dirname(this.#file.path), d.socket),
    };
  }
}

/** As it is kept: relative to the ticket file's folder where it lies below that, absolute elsewhere. */
function placeOf(socketPath: string, file: string): string {
  const below = relative(dirname(file), socketPath);
  return isAbsolute(below) || below.split(sep)[0] === ".." ? socketPath : below;
}

const bare = ({ batchKey, holder, attempt }: Claim): Claim => ({ batchKey, holder, attempt });
/** The name of a token in logs and lists. */
export const tokenFingerprint = (token: string): string => fingerprint(digestOfToken(token));
const digestOfToken = (token: string): string => createHash("sha256").update(token).digest("hex");
const fingerprint = (digest: string): string => digest.slice(0, 16);

const doorRow = z.object({
  batch_key: z.string(),
  holder: z.string(),
  attempt: z.number(),
  instance: z.string(),
  socket: z.string(),
});
const effect = z.enum(["read", "write", "destructive"]);
const tokenRow = z.object({
  scopes: z
    .string()
    .transform((text) => text.split(" ").filter((word) => word !== ""))
    .pipe(z.array(effect)),
  left_ms: z.number(),
});
