import { errors, found, noContent, wrapped, type VaultAnswer } from "./vault-answer.ts";

interface Version {
  readonly data: Record<string, unknown>;
  readonly createdAt: string;
  deletedAt: string;
}

export interface KvRequest {
  readonly method: string;
  /** Below the mount. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown> | null;
  readonly now: string;
}

export interface KvMount {
  readonly version: "1" | "2";
  exists(path: string): boolean;
  answer(request: KvRequest): VaultAnswer;
}

/** Secrets with versions: `data/`, `metadata/`, `undelete/`. */
export class KvV2 implements KvMount {
  readonly version = "2";
  readonly #secrets = new Map<string, Version[]>();

  exists(path: string): boolean {
    return this.#secrets.has(path.replace(/^data\//, ""));
  }

  answer(request: KvRequest): VaultAnswer {
    const [kind = "", ...rest] = request.path.split("/");
    const name = rest.join("/");
    const { method } = request;
    if (kind === "data") {
      if (method === "GET") return this.#read(name, request.query);
      if (method === "POST" || method === "PUT") return this.#write(name, request);
      if (method === "DELETE") return this.#softDelete(name, request.now);
    }
    if (kind === "metadata") {
      if (method === "LIST") return listed(keysBelow(this.#secrets.keys(), name));
      if (method === "GET") return this.#metadata(name);
      if (method === "DELETE") {
        this.#secrets.delete(name);
        return noContent;
      }
    }
    if (kind === "undelete" && (method === "POST" || method === "PUT")) return this.#undelete(name, request.body);
    return wrapped(404, {
      warnings: [
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the OpenBao CLI, use 'bao kv get' for this operation.",
      ],
    });
  }

  #read(name: string, query: URLSearchParams): VaultAnswer {
    const versions = this.#secrets.get(name) ?? [];
    const number = Number(query.get("version") ?? versions.length);
    const version = versions[number - 1];
    if (version === undefined) return errors(404);
    const gone = version.deletedAt !== "";
    return wrapped(gone ? 404 : 200, {
      data: { data: gone ? null : version.data, metadata: { ...described(version), version: number } },
    });
  }

  #write(name: string, { body, now }: KvRequest): VaultAnswer {
    const data = body?.["data"];
    if (data === null || typeof data !== "object") return errors(400, "no data provided");
    const versions = this.#secrets.get(name) ?? [];
    const cas = (body?.["options"] as { cas?: number } | undefined)?.cas;
    if (cas !== undefined && cas !== versions.length)
      return errors(400, "check-and-set parameter did not match the current version");
    const version: Version = { data: data as Record<string, unknown>, createdAt: now, deletedAt: "" };
    versions.push(version);
    this.#secrets.set(name, versions);
    return found({ ...described(version), version: versions.length });
  }

  #softDelete(name: string, now: string): VaultAnswer {
    const last = this.#secrets.get(name)?.at(-1);
    if (last !== undefined) last.deletedAt = now;
    return noContent;
  }

  #undelete(name: string, body: Record<string, unknown> | null): VaultAnswer {
    for (const number of (body?.["versions"] as number[] | undefined) ?? []) {
      const version = this.#secrets.get(name)?.[number - 1];
      if (version !== undefined) version.deletedAt = "";
    }
    return noContent;
  }

  #metadata(name: string): VaultAnswer {
    const versions = this.#secrets.get(name);
    const [first, last] = [versions?.[0], versions?.at(-1)];
    if (versions === undefined || first === undefined || last === undefined) return errors(404);
    return found({
      cas_required: false,
      created_time: first.createdAt,
      current_metadata_version: 0,
      current_version: versions.length,
      custom_metadata: null,
      delete_version_after: "0s",
      max_versions: 0,
      metadata_cas_required: false,
      oldest_version: 0,
      updated_time: last.createdAt,
      versions: Object.fromEntries(
        versions.map(({ createdAt, deletedAt }, at) => [
          String(at + 1),
          { created_time: createdAt, deletion_time: deletedAt, destroyed: false },
        ]),
      ),
    });
  }
}

/** Secrets without versions: the body is the secret. */
export class KvV1 implements KvMount {
  readonly version = "1";
  readonly #secrets = new Map<string, Record<string, unknown>>();

  exists(path: string): boolean {
    return this.#secrets.has(path);
  }

  answer({ method, path, body }: KvRequest): VaultAnswer {
    if (method === "LIST") return listed(keysBelow(this.#secrets.keys(), path));
    if (method === "GET") {
      const secret = this.#secrets.get(path);
      // 32 days, the server's default: nothing expires, clients may use it as a hint.
      return secret === undefined ? errors(404) : wrapped(200, { data: secret, lease_duration: 2_764_800 });
    }
    if (method === "DELETE") {
      this.#secrets.delete(path);
      return noContent;
    }
    if (Object.keys(body ?? {}).length === 0) return errors(400, "missing data fields");
    this.#secrets.set(path, body ?? {});
    return noContent;
  }
}

function described({ createdAt, deletedAt }: Version): Record<string, unknown> {
  return { created_time: createdAt, custom_metadata: null, deletion_time: deletedAt, destroyed: false };
}

function keysBelow(names: Iterable<string>, folder: string): string[] {
  const prefix = folder === "" ? "" : `${folder.replace(/\/$/, "")}/`;
  const below = [...names].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return [...new Set(below.map((name) => name.replace(/\/.*/, "/")))].toSorted();
}

function listed(keys: readonly string[]): VaultAnswer {
  return keys.length === 0 ? errors(404) : found({ keys });
}
