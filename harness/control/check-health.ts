import { request } from "node:http";
import { withDeadline } from "../base/deadline.ts";
import type { Deps } from "../protocol.ts";
import type { ComposeAgentConfig } from "./compose-agent-config.ts";

const CHECK_MS = 4_000;

/** Asks the compose-agent that runs with these settings how it is; false also where nobody answers. Never throws. */
export async function checkHealth(
  { tcp, socketPath }: Pick<ComposeAgentConfig, "tcp" | "socketPath">,
  { clock }: Pick<Deps, "clock">,
): Promise<boolean> {
  // What listens everywhere is asked on loopback.
  const host = tcp === null || tcp.host === "0.0.0.0" || tcp.host === "::" ? "127.0.0.1" : tcp.host;
  const where = tcp === null ? { socketPath: socketPath ?? "" } : { host, port: tcp.port };
  const ask = (signal: AbortSignal): Promise<boolean> =>
    new Promise((answered) => {
      const asked = request({ ...where, path: "/health", signal }, (answer) => {
        answer.resume();
        answered(answer.statusCode === 200);
      });
      asked.on("error", () => answered(false));
      asked.end();
    });
  return await withDeadline(clock, { ms: CHECK_MS, what: "the health check" }, ask).catch(() => false);
}
