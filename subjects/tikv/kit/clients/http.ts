import { withDeadline } from "../../../../harness/base/deadline.ts";
import { HarnessError, errorText } from "../../../../harness/base/errors.ts";
import type { Deps } from "../../../../harness/protocol.ts";

export type ClientDeps = Pick<Deps, "clock" | "fetch">;

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string | null;
  readonly text: string;
}

/** What a server sends back is cut here, so that a broken one cannot fill our memory. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** The request never left: nobody answered at that address, so nothing can have been executed. */
const NOT_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"]);

/** A request that got no answer. `sent` false = it certainly was not executed. */
export class NoAnswer extends HarnessError {
  readonly sent: boolean;
  constructor(url: string, cause: unknown) {
    const timedOut = cause instanceof HarnessError && cause.code === "timeout";
    const code = causeCode(cause);
    super(timedOut ? "timeout" : "subject-failed", timedOut ? cause.message : `${url}: ${code ?? errorText(cause)}`, {
      cause,
    });
    this.sent = code === null || !NOT_SENT.has(code);
  }
}

/**
 * One HTTP exchange with its own deadline. Any status is an answer.
 *
 * @throws NoAnswer when there was none; the signal's reason when it aborted.
 */
export async function exchange(deps: ClientDeps, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const { method, url, body, headers, timeoutMs } = request;
  try {
    return await withDeadline(deps.clock, { ms: timeoutMs, what: `${method} ${url}`, signal }, async (inner) => {
      const init: RequestInit = { method, signal: inner, redirect: "manual", headers: { ...headers } };
      if (body !== undefined) init.body = body;
      const response = await deps.fetch(url, init);
      const text = await readText(response);
      return { status: response.status, contentType: response.headers.get("content-type"), text };
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new NoAnswer(url, error);
  }
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw new Error(`answer is larger than ${MAX_BODY_BYTES} bytes`);
    parts.push(decoder.decode(chunk, { stream: true }));
  }
  parts.push(decoder.decode());
  return parts.join("");
}

/** undici hides the system error below one or more causes. */
function causeCode(error: unknown): string | null {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    const inner = current instanceof AggregateError ? current.errors[0] : current;
    if (inner instanceof Error && "code" in inner && typeof inner.code === "string") return inner.code;
  }
  return null;
}
