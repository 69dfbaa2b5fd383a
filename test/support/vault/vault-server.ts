import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSocketServer, type AddressInfo, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { isoTime, systemClock, type Clock } from "../../../harness/base/clock.ts";
import { errors, found, noContent, plain, wrapped, type VaultAnswer } from "./vault-answer.ts";
import { KvV1, KvV2, type KvMount } from "./vault-kv.ts";
import { describedMount, systemMounts } from "./vault-mounts.ts";
import { VaultPolicies, type Capability } from "./vault-policies.ts";
import { authOf, VaultServerTokens, type VaultToken } from "./vault-tokens.ts";

interface Asked {
  readonly method: string;
  /** Without `/v1/`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

const PERMISSION_DENIED = errors(403, "permission denied");
/** What the same refusal looks like when a policy makes it. */
const POLICY_DENIED = errors(403, "1 error occurred:\n\t* permission denied\n\n");

/**
 * A server that speaks Vault's HTTP API as far as our client and the recording in `fixtures/vault-api` go: KV v2 and v1,
 * policies, tokens, seal. Memory only; `secret/` is KV v2 as in dev mode. A real one is `vault server -dev`.
 *
 * What a test may do to it besides: `stall` (connections stand, nothing is answered), `failWith`, and read `asked`.
 */
export class VaultServer implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #policies = new VaultPolicies();
  readonly #tokens: VaultServerTokens;
  readonly #mounts = new Map<string, KvMount>([["secret/", new KvV2()]]);
  readonly #sockets = new Set<Socket>();
  readonly #http = createServer((request, response) => void this.#serve(request, response));
  readonly #listener = createSocketServer((socket) => this.#accept(socket));
  #sealed = false;
  readonly root: string;
  /** `METHOD /v1/path` of everything asked. */
  readonly asked: string[] = [];
  stall = false;
  failWith: VaultAnswer | null = null;

  private constructor(clock: Clock) {
    this.#clock = clock;
    this.#tokens = new VaultServerTokens(clock);
    this.root = this.#tokens.root().id;
  }

  static async start(clock: Clock = systemClock): Promise<VaultServer> {
    const server = new VaultServer(clock);
    await new Promise<void>((resolve) => server.#listener.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  seal(sealed = true): void {
    this.#sealed = sealed;
  }

  mountV1(name: string): void {
    this.#mounts.set(`${name}/`, new KvV1());
  }

  /** A token that may do what the policy says. */
  tokenFor(hcl: string, options: Record<string, unknown> = {}): string {
    const name = `policy-${this.#tokens.root().accessor}`;
    this.#policies.write(name, hcl);
    return this.#tokens.create({ policies: [name], ...options }).id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  /** Node's parser does not know the method LIST. LINK is as long and nobody's; one request a connection. */
  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    socket.once("data", (first: Buffer) => {
      if (first.toString("latin1", 0, 5) === "LIST ") first.write("LINK ", 0, "latin1");
      socket.unshift(first);
      this.#http.emit("connection", Duplex.from({ readable: socket, writable: socket }));
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? "/", "http://vault");
    const listing = request.method === "LINK" || url.searchParams.get("list") === "true";
    const asked: Asked = {
      method: listing ? "LIST" : (request.method ?? "GET"),
      path: decodeURIComponent(url.pathname.replace(/^\/v1\//, "")),
      query: url.searchParams,
      headers: request.headers,
      text: Buffer.concat(chunks).toString("utf8"),
    };
    this.asked.push(`${asked.method} ${url.pathname}`);
    if (this.stall) return;
    const { status, body } = this.failWith ?? this.#answer(asked);
    response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(body);
  }

  #answer(asked: Asked): VaultAnswer {
    const { path, method, headers } = asked;
    if (path === "sys/health") return this.#health();
    if (path === "sys/seal-status") return this.#sealStatus();
    if (this.#sealed) return errors(503, "Vault is sealed");
    if ((headers["x-vault-namespace"] ?? "") !== "") return errors(404, "namespace not found");
    const token = this.#tokens.find(headers["x-vault-token"] as string | undefined);
    if (token === null) return PERMISSION_DENIED;
    if (path.startsWith("sys/internal/ui/mounts/"))
      return this.#preflight(path.slice("sys/internal/ui/mounts/".length), token);
    const mount = this.#mountOf(path);
    if (!this.#allowed(asked, token, mount?.[1] ?? null, mount?.[0] ?? "")) return POLICY_DENIED;
    if (method === "PATCH" && headers["content-type"] !== "application/merge-patch+json")
      return errors(
        415,
        `PATCH requires Content-Type of application/merge-patch+json, provided ${headers["content-type"] ?? ""}`,
      );
    let body: Record<string, unknown> | null;
    try {
      body = asked.text === "" ? null : (JSON.parse(asked.text) as Record<string, unknown>);
    } catch (error) {
      return errors(400, `failed to decode JSON input: ${badCharacter(asked.text, error)}`);
    }
    if (mount !== null) {
      const [name, kv] = mount;
      const now = isoTime(this.#clock.now());
      return kv.answer({ method, path: path.slice(name.length), query: asked.query, body, now });
    }
    return this.#system(method, path, body ?? {}, token);
  }

  #system(method: string, path: string, body: Record<string, unknown>, token: VaultToken): VaultAnswer {
    const writes = method === "POST" || method === "PUT";
    if (path === "sys/mounts" && method === "GET") return this.#listMounts();
    if (path.startsWith("sys/mounts/") && writes) {
      const version = (body["options"] as { version?: string } | undefined)?.version;
      this.#mounts.set(`${path.slice("sys/mounts/".length)}/`, version === "2" ? new KvV2() : new KvV1());
      return noContent;
    }
    if (path.startsWith("sys/policies/acl/") && writes) {
      this.#policies.write(path.slice("sys/policies/acl/".length), String(body["policy"]));
      return noContent;
    }
    if (path === "sys/seal" && writes) {
      this.seal();
      return noContent;
    }
    if (path === "auth/token/create" && writes) {
      const made = this.#tokens.create(body);
      return wrapped(200, { auth: authOf(made, made.creationTtlS) });
    }
    if (path === "auth/token/lookup-self" && method === "GET") return found(this.#tokens.lookup(token));
    if (path === "auth/token/renew-self" && writes) {
      if (!token.renewable) return errors(400, "lease is not renewable");
      return wrapped(200, { auth: authOf(token, this.#tokens.renew(token, body["increment"])) });
    }
    if (path === "auth/token/revoke-self" && writes) {
      this.#tokens.revoke(token.id);
      return noContent;
    }
    return errors(404, `no handler for route "${path}". route entry not found.`);
  }

  /** Which mount a path is on, and its version: what Vault's own command line asks before `kv get` (api docs: internal-ui-mounts). */
  #preflight(path: string, token: VaultToken): VaultAnswer {
    const mount = this.#mountOf(`${path}/`);
    if (mount === null || !this.#policies.reaches(token.policies, mount[0]))
      return errors(
        403,
        `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`,
      );
    return found({ ...describedMount(mount[1].version), path: mount[0] });
  }

  #mountOf(path: string): readonly [string, KvMount] | null {
    return [...this.#mounts].find(([name]) => path.startsWith(name)) ?? null;
  }

  #allowed({ method, path }: Asked, token: VaultToken, mount: KvMount | null, name: string): boolean {
    const write = (): Capability => (mount?.exists(path.slice(name.length)) === false ? "create" : "update");
    const capability: Capability =
      method === "GET"
        ? "read"
        : method === "LIST"
          ? "list"
          : method === "DELETE"
            ? "delete"
            : method === "PATCH"
              ? "patch"
              : write();
    return this.#policies.allows(token.policies, path, capability);
  }

  #listMounts(): VaultAnswer {
    const kv = [...this.#mounts].map(([name, { version }]) => [name, describedMount(version)] as const);
    const data = { ...systemMounts(), ...Object.fromEntries(kv) };
    // Twice, once for clients of old: so does the real one.
    return wrapped(200, { ...data, data });
  }

  #health(): VaultAnswer {
    const mode = this.#sealed ? "unknown" : "disabled";
    return plain(this.#sealed ? 503 : 200, {
      initialized: true,
      sealed: this.#sealed,
      standby: this.#sealed,
      replication_performance_mode: mode,
      replication_dr_mode: mode,
      server_time_utc: Math.floor(this.#clock.now() / 1_000),
      version: "2.0.0-HEAD",
      ...(this.#sealed ? {} : { cluster_name: "vault-cluster-1", cluster_id: "c0ffcc7f-0000" }),
    });
  }

  #sealStatus(): VaultAnswer {
    return plain(200, {
      type: "shamir",
      initialized: true,
      sealed: this.#sealed,
      t: 1,
      n: 1,
      progress: 0,
      nonce: "",
      recovery_seal: false,
      version: "2.0.0-HEAD",
      commit_date: "",
      migration: false,
      ...(this.#sealed ? {} : { cluster_name: "vault-cluster-1", cluster_id: "c0ffcc7f-0000" }),
      storage_type: "inmem",
    });
  }
}

/** Go's words for what Node's parser could not read. */
function badCharacter(text: string, error: unknown): string {
  const [, position] = /position (\d+)/.exec((error as Error).message) ?? [];
  return position === undefined ? "unexpected EOF" : `invalid character '${text[Number(position)] ?? ""}'`;
}
