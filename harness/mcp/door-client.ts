import { request } from "node:http";
import { text as textOf } from "node:stream/consumers";
import type { z } from "zod";
import { errorText, HarnessError } from "../base/errors.ts";
import { replySchema, welcomeSchema, type DoorReply, type Welcome } from "../agent/operators/external/door-contract.ts";

/** One incident as it is seen through its door. */
export interface Visitor {
  /** Incident, briefing, runbooks and tools, as they are now. @throws HarnessError `lease-lost` when it is over. */
  welcome(signal: AbortSignal): Promise<Welcome>;
  /** Tells the transcript who has come. */
  introduce(client: { readonly name: string; readonly version: string }, signal: AbortSignal): Promise<void>;
  /** Never throws for what became of the call; an incident that is over is a reply as well. */
  call(tool: string, input: unknown, signal: AbortSignal): Promise<DoorReply>;
}

const OVER = "the work on this incident has ended, or the token is no longer good for it";

/** Speaks to the session that listens at `socketPath`, with this token. */
export function visitor({ socketPath, token }: { readonly socketPath: string; readonly token: string }): Visitor {
  const ask = async <T>(what: Ask<T>, signal: AbortSignal): Promise<T> => {
    const { status, body } = await exchange({ socketPath, token, ...what }, signal);
    const parsed = what.reply.safeParse(jsonOf(body));
    if (status === 401) throw new HarnessError("lease-lost", OVER);
    if (!parsed.success)
      throw new HarnessError("operator-failed", `the session answered ${status}: ${body.slice(0, 200)}`);
    return parsed.data;
  };
  return {
    welcome: (signal) => ask({ method: "GET", path: "/incident", reply: welcomeSchema }, signal),
    async introduce(client, signal) {
      await exchange({ socketPath, token, method: "POST", path: "/client", body: client }, signal);
    },
    async call(tool, input, signal) {
      try {
        return await ask({ method: "POST", path: "/call", body: { tool, input }, reply: replySchema }, signal);
      } catch (error) {
        if (error instanceof HarnessError && error.code === "lease-lost")
          return { text: error.message, isError: true, over: true };
        throw error;
      }
    },
  };
}

interface Ask<T> {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: object;
  readonly reply: z.ZodType<T>;
}

/** A session that has gone took its socket along. */
const GONE = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"];

async function exchange(
  what: { readonly socketPath: string; readonly token: string } & Omit<Ask<unknown>, "reply">,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  const { socketPath, token, method, path, body } = what;
  const payload = body === undefined ? null : JSON.stringify(body);
  const headers = {
    host: "incident",
    authorization: `Bearer ${token}`,
    ...(payload === null ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
  };
  try {
    return await new Promise((resolve, reject) => {
      const call = request({ socketPath, path, method, headers, signal }, (response) => {
        textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, body: text }), reject);
      });
      call.on("error", reject);
      call.end(payload ?? undefined);
    });
  } catch (error) {
    signal.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (GONE.includes(code)) throw new HarnessError("lease-lost", OVER, { cause: error });
    throw new HarnessError("operator-failed", `the session cannot be asked: ${errorText(error)}`, { cause: error });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
