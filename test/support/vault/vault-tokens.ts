import { randomBytes } from "node:crypto";
import { isoTime, type Clock, type EpochMs } from "../../../harness/base/clock.ts";

export interface VaultToken {
  readonly id: string;
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly displayName: string;
  readonly renewable: boolean;
  readonly createdAt: EpochMs;
  readonly creationTtlS: number;
  readonly explicitMaxTtlS: number;
  /** null = never (root). */
  expiresAt: number | null;
}

/** Tokens of the server itself, which open it; not those that it keeps for us. */
export class VaultServerTokens {
  readonly #clock: Clock;
  readonly #all = new Map<string, VaultToken>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  root(): VaultToken {
    return this.#add({ policies: ["root"], displayName: "root", renewable: false, ttlS: 0, explicitMaxTtlS: 0 });
  }

  create(body: Record<string, unknown>): VaultToken {
    const policies = [...((body["policies"] as string[] | undefined) ?? []), "default"].toSorted();
    return this.#add({
      policies,
      displayName: body["display_name"] === undefined ? "token" : `token-${String(body["display_name"])}`,
      renewable: body["renewable"] !== false,
      ttlS: seconds(body["ttl"]) ?? 2_764_800,
      explicitMaxTtlS: seconds(body["explicit_max_ttl"]) ?? 0,
    });
  }

  /** Null when it was never there, has expired or was revoked. */
  find(id: string | undefined): VaultToken | null {
    const token = this.#all.get(id ?? "");
    if (token === undefined || (token.expiresAt !== null && token.expiresAt <= this.#clock.now())) return null;
    return token;
  }

  revoke(id: string): void {
    this.#all.delete(id);
  }

  renew(token: VaultToken, increment: unknown): number {
    const ttlS = seconds(increment) ?? token.creationTtlS;
    token.expiresAt = this.#clock.now() + ttlS * 1_000;
    return ttlS;
  }

  lookup(token: VaultToken): Record<string, unknown> {
    const { expiresAt, createdAt } = token;
    return {
      accessor: token.accessor,
      creation_time: Math.floor(createdAt / 1_000),
      creation_ttl: token.creationTtlS,
      display_name: token.displayName,
      entity_id: "",
      expire_time: expiresAt === null ? null : isoTime(expiresAt as EpochMs),
      explicit_max_ttl: token.explicitMaxTtlS,
      id: token.id,
      issue_time: isoTime(createdAt),
      meta: null,
      num_uses: 0,
      orphan: expiresAt === null,
      path: expiresAt === null ? "auth/token/root" : "auth/token/create",
      policies: token.policies,
      renewable: token.renewable,
      ttl: expiresAt === null ? 0 : Math.ceil((expiresAt - this.#clock.now()) / 1_000),
      type: "service",
    };
  }

  #add(token: {
    readonly policies: readonly string[];
    readonly displayName: string;
    readonly renewable: boolean;
    readonly ttlS: number;
    readonly explicitMaxTtlS: number;
  }): VaultToken {
    const now = this.#clock.now();
    const made: VaultToken = {
      id: `s.${randomBytes(18).toString("base64url")}`,
      accessor: randomBytes(18).toString("base64url"),
      policies: token.policies,
      displayName: token.displayName,
      renewable: token.renewable,
      createdAt: now,
      creationTtlS: token.ttlS,
      explicitMaxTtlS: token.explicitMaxTtlS,
      expiresAt: token.ttlS === 0 ? null : now + token.ttlS * 1_000,
    };
    this.#all.set(made.id, made);
    return made;
  }
}

/** The `auth` of an answer that creates or renews a token. */
export function authOf(token: VaultToken, leaseS: number): Record<string, unknown> {
  return {
    client_token: token.id,
    accessor: token.accessor,
    policies: token.policies,
    token_policies: token.policies,
    metadata: null,
    lease_duration: leaseS,
    renewable: token.renewable,
    entity_id: "",
    token_type: "service",
    orphan: false,
    mfa_requirement: null,
    num_uses: 0,
  };
}

/** "30s", "5m", "1h", or a number of seconds. */
function seconds(value: unknown): number | null {
  if (typeof value === "number") return value;
  const [, count = "", unit = "s"] = /^(\d+)([smh]?)$/.exec(typeof value === "string" ? value : "") ?? [];
  if (count === "") return null;
  return Number(count) * ({ s: 1, m: 60, h: 3_600 }[unit] ?? 1);
}
