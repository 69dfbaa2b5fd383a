import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { HarnessError } from "../base/errors.ts";
import type { Clock, Log } from "../protocol.ts";
import type { Admission } from "../../tickets/index.ts";
import { visitor } from "./door-client.ts";
import { incidentServer } from "./incident-server.ts";

export interface StdioOptions {
  readonly token: string;
  readonly version: string;
  admit(token: string): Promise<Admission | null>;
}

/**
 * Serves one incident to the process that started us, over standard input and output, until it hangs up or the signal
 * aborts. Nothing else may write to standard output.
 *
 * @throws HarnessError `not-found` for a token that is not good for any incident.
 */
export async function serveStdio(
  { token, version, admit }: StdioOptions,
  deps: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const admission = await admit(token);
  if (admission === null)
    throw new HarnessError("not-found", "the token is not good for any incident: `lab mcp token` makes one");
  const door = visitor({ socketPath: admission.socketPath, token });
  const server = await incidentServer(door, { ...deps, version }, signal);
  const closed = Promise.withResolvers<void>();
  server.onclose = () => closed.resolve();
  // The transport itself does not notice that its input has ended.
  process.stdin.once("end", () => closed.resolve());
  const stop = (): void => closed.resolve();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await server.connect(new StdioServerTransport());
    deps.log.info("mcp.serving", { over: "stdio", token: admission.fingerprint });
    await closed.promise;
  } finally {
    signal.removeEventListener("abort", stop);
    await server.close();
  }
}
