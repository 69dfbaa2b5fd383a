import Anthropic from "@anthropic-ai/sdk";
import { errorText, HarnessError } from "../../../base/errors.ts";
import type { Clock, Random } from "../../../protocol.ts";
import type { TokenUsage } from "../claude-models.ts";
import { CutStream, readReply, type Reply } from "./reply.ts";

export interface ApiOptions {
  readonly apiKey: string;
  /** ANTHROPIC_BASE_URL. */
  readonly apiUrl: string | null;
}

export interface ApiDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: typeof globalThis.fetch;
}

/** Retries of one turn, and how long they may wait in all: API waits are apart from working time, not without end. */
const MAX_TRIES = 8;
export const MAX_WAIT_MS = 10 * 60_000;
/** One reply of 8,000 tokens with thinking takes a minute or two; silence for longer is a dead connection. */
const REPLY_TIMEOUT_MS = 5 * 60_000;

/** The reply, or why there is none. What the caller can do about it differs, so each has a name. */
export type Answer =
  | { readonly kind: "reply"; readonly reply: Reply }
  /** The prompt does not fit. */
  | { readonly kind: "too-long" }
  /** Thinking was made for another history than the one that was sent. */
  | { readonly kind: "thinking-refused" }
  /** Retries are used up. */
  | { readonly kind: "unavailable"; readonly why: string };

/**
 * The Messages API, streamed, with our own retries: they follow `retry-after`, run on the injected clock and tell how
 * long they waited.
 *
 * @throws HarnessError `api-failed` when asking again cannot help: wrong key, no credit, a request that we built wrong.
 */
export class MessagesApi {
  readonly #client: Anthropic;
  readonly #deps: ApiDeps;
  /** Spent waiting for the API to be willing again. */
  waitedMs = 0;

  constructor(options: ApiOptions, deps: ApiDeps) {
    this.#client = clientFor(options, deps);
    this.#deps = deps;
  }

  async send(
    request: Anthropic.MessageCreateParamsNonStreaming,
    spent: (usage: TokenUsage) => void,
    signal: AbortSignal,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      try {
        const events = await this.#client.messages.create({ ...request, stream: true }, { signal });
        return { kind: "reply", reply: await readReply(events, spent) };
      } catch (error) {
        signal.throwIfAborted();
        const known = answerFor(error);
        if (known !== null) return known;
        const why = describe(error);
        const waitMs = this.#waitFor(error, attempt);
        if (attempt >= MAX_TRIES || this.waitedMs + waitMs > MAX_WAIT_MS) return { kind: "unavailable", why };
        await this.#deps.clock.sleep(waitMs, signal);
        this.waitedMs += waitMs;
      }
    }
  }

  /** What the server asks for; else 1 s doubling up to a minute, with a quarter of jitter. */
  #waitFor(error: unknown, attempt: number): number {
    const headers = error instanceof Anthropic.APIError ? (error.headers as Headers | undefined) : undefined;
    const asked = Number(headers?.get("retry-after-ms") ?? Number.NaN);
    if (asked >= 0) return asked;
    const seconds = Number(headers?.get("retry-after") ?? Number.NaN);
    if (seconds >= 0) return seconds * 1_000;
    return Math.min(60_000, 1_000 * 2 ** (attempt - 1)) * (1 - this.#deps.random.next() / 4);
  }
}

export function clientFor({ apiKey, apiUrl }: ApiOptions, { fetch }: Pick<ApiDeps, "fetch">): Anthropic {
  // Our retries, not the SDK's: those sleep on the wall clock and do not tell.
  return new Anthropic({
    apiKey,
    authToken: null,
    ...(apiUrl === null ? {} : { baseURL: apiUrl }),
    maxRetries: 0,
    timeout: REPLY_TIMEOUT_MS,
    fetch,
    logLevel: "off",
  });
}

/** Null = worth another try. @throws HarnessError `api-failed` when it is not. */
function answerFor(error: unknown): Answer | null {
  if (error instanceof CutStream || error instanceof Anthropic.APIConnectionError) return null;
  if (!(error instanceof Anthropic.APIError)) {
    // undici ends a broken stream with a TypeError "terminated"; anything else is a defect of ours.
    if (error instanceof TypeError || error instanceof SyntaxError || error instanceof Anthropic.AnthropicError)
      return null;
    throw error;
  }
  const status = error.status as number | undefined;
  const text = error.message;
  // An error event within a stream has no status, only its type.
  if (status === undefined || status === 408 || status === 409 || status === 429 || status >= 500) return null;
  if (/prompt is too long|context (window|length)|too many (input )?tokens/i.test(text)) return { kind: "too-long" };
  if (/bound to a different conversation|`signature` in `thinking`/i.test(text)) return { kind: "thinking-refused" };
  throw new HarnessError("api-failed", `the model's API refuses: ${describe(error)}`, { cause: error });
}

export function describe(error: unknown): string {
  if (!(error instanceof Anthropic.APIError)) return errorText(error);
  const status = error.status as number | undefined;
  return [status ?? "stream", error.type, error.apiMessage ?? error.message].filter(Boolean).join(" ").slice(0, 300);
}
