import { Agent, request, type IncomingMessage } from "node:http";
import { collect } from "../../base/collect.ts";
import { EngineError, errorText } from "../../base/errors.ts";

export interface Sent {
  readonly method: "GET" | "POST";
  /** Path and query, as they are signed. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The connection failed; `sent` = the request may have arrived. */
export class Unreachable extends EngineError {
  readonly sent: boolean;
  constructor(address: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException).code;
    super("engine-unreachable", `the control server at ${address} does not answer (${code ?? errorText(cause)})`, {
      cause,
    });
    this.sent = !["ECONNREFUSED", "ENOENT", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"].includes(
      code ?? "",
    );
  }
}

/** HTTP to one server, over TCP or a Unix socket, with connections that stay open. */
export class Transport implements Disposable {
  readonly address: string;
  readonly #where: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  // Of our own: the global one may be told to use a proxy, which has no business here.
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: 0 });

  /** @throws RangeError for an address that is none. */
  constructor({ url, socketPath }: { readonly url?: string | undefined; readonly socketPath?: string | undefined }) {
    if ((url === undefined) === (socketPath === undefined)) throw new RangeError("either a url or a socket path");
    this.address = socketPath === undefined ? (url ?? "") : `unix:${socketPath}`;
    if (socketPath !== undefined) this.#where = { socketPath };
    else {
      const { protocol, hostname, port } = new URL(url ?? "");
      if (protocol !== "http:")
        throw new RangeError(`the control API is plain HTTP on a private network, not ${protocol}`);
      this.#where = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port === "" ? 80 : port) };
    }
  }

  /** @throws Unreachable; the signal's reason. */
  async send(what: Sent, signal: AbortSignal): Promise<Answer> {
    try {
      const reply = await this.#open(what, signal);
      return { status: reply.statusCode ?? 0, text: (await collect(reply))?.toString("utf8") ?? "" };
    } catch (error) {
      signal.throwIfAborted();
      throw new Unreachable(this.address, error);
    }
  }

  /** An answer that stays open. @throws Unreachable; the signal's reason. */
  async stream(what: Sent, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#open(what, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new Unreachable(this.address, error);
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #open({ method, target, headers, body }: Sent, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const entity =
        body === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const outgoing = request(
        { ...this.#where, agent: this.#agent, method, path: target, headers: { ...headers, ...entity }, signal },
        resolve,
      );
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }
}
