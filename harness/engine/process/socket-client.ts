import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { EngineError, type ErrorCode } from "../../base/errors.ts";

/** One call over the supervisor's socket. @throws EngineError as the supervisor said, or that it cannot be reached. */
export async function call(socketPath: string, verb: string, body: object, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  try {
    const reply = await send(socketPath, { method: "POST", path: `/${verb}`, body: JSON.stringify(body), signal });
    const parsed = JSON.parse(await text(reply)) as { value: unknown; error?: { code: ErrorCode; message: string } };
    if (parsed.error !== undefined) throw new EngineError(parsed.error.code, parsed.error.message);
    return parsed.value;
  } catch (error) {
    signal.throwIfAborted();
    throw asEngineError(error);
  }
}

/** A reply that stays open. Resolves once the supervisor has registered it: its first, empty line has come. */
export async function openStream(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  try {
    const reply = await send(socketPath, { method: "GET", path: `/${path}`, body: "", signal });
    // A reader that leaves early destroys it, which is an error to nobody.
    reply.on("error", () => undefined);
    await new Promise<void>((resolve, reject) => {
      reply.once("readable", resolve);
      reply.once("error", reject);
      reply.once("end", () => reject(new Error("it was closed at once")));
    });
    return reply;
  } catch (error) {
    throw asEngineError(error);
  }
}

function send(
  socketPath: string,
  { method, path, body, signal }: { method: string; path: string; body: string; signal: AbortSignal },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    // A connection of its own for each call: a call may last as long as a stop's grace, a stream for ever.
    const outgoing = request({ socketPath, method, path, headers, signal, agent: false }, resolve);
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

export function asEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const reason = (error as NodeJS.ErrnoException).code;
  if (reason === "EACCES" || reason === "EPERM")
    return new EngineError("engine-permission", "no permission on the engine's socket", { cause: error });
  return new EngineError("engine-unreachable", `the engine does not answer (${reason ?? String(error)})`, {
    cause: error,
  });
}
