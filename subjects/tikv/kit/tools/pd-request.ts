import { z } from "zod";
import type { Endpoints, Tool, ToolResult } from "../../../../harness/protocol.ts";
import { exchange, NoAnswer, type ClientDeps } from "../clients/http.ts";
import { answerResult, bodyInput, bodyText, pathInput } from "./http-input.ts";
import { pdEffect } from "./pd-effect.ts";

const input = z.strictObject({
  method: z.enum(["GET", "POST", "DELETE"]),
  path: pathInput.describe(
    "/stores means /pd/api/v1/stores. At the server's root: /metrics, /livez, /readyz, /v3/…; set root for its /health",
  ),
  body: bodyInput,
  member: z
    .string()
    .max(63)
    .optional()
    .describe(
      "ask just this PD, e.g. pd1; default: the first that answers. Followers pass most requests to the leader",
    ),
  root: z
    .boolean()
    .default(false)
    .describe("true = the path starts at the server's root, e.g. the store's own /health"),
  reason: z.string().min(10).max(1_000).describe("why this call is right now, for the audit trail"),
});
type Input = z.output<typeof input>;

const READ_TIMEOUT_MS = 6_000;
/** Splitting regions can hang for more than 15 s when a leader's store does not act (facts §10). */
const WRITE_TIMEOUT_MS = 20_000;

const AT_ROOT = /^\/(pd\/|metrics|livez|readyz|v3\/|debug\/)/;

function target({ path, root }: Pick<Input, "path" | "root">): string {
  return root || AT_ROOT.test(path) ? path : `/pd/api/v1${path}`;
}

/** PD's HTTP API, whole: what changes nothing, what can be taken back and what cannot are told apart per call. */
export function pdRequest(endpoints: Endpoints, pdUrls: readonly string[], deps: ClientDeps): Tool<typeof input> {
  const ask = async (url: string, request: Input, signal: AbortSignal): Promise<ToolResult> => {
    const answer = await exchange(
      deps,
      {
        method: request.method,
        url: `${url.replace(/\/$/, "")}${target(request)}`,
        body: bodyText(request.body),
        headers: request.body === undefined ? {} : { "content-type": "application/json" },
        timeoutMs: request.method === "GET" ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS,
      },
      signal,
    );
    return answerResult(url, answer);
  };
  return {
    name: "pd_request",
    description:
      "Send a request to PD's HTTP API: stores, regions, members, schedulers, operators, settings. " +
      'PD takes booleans in settings as text ("true"). Read back what you change: some wrong requests are answered with 200.',
    input,
    effect: (request) => pdEffect(request.method, target(request), request.body),
    async run(request, signal) {
      const one = request.member === undefined ? undefined : endpoints.byComponent[request.member]?.["client"];
      if (request.member !== undefined && one === undefined)
        return { text: `no such PD member: ${request.member}`, isError: true };
      const urls = one === undefined ? pdUrls : [one];
      let last: ToolResult = { text: "no PD address is configured", isError: true };
      for (const url of urls) {
        try {
          last = await ask(url, request, signal);
        } catch (error) {
          if (!(error instanceof NoAnswer)) throw error;
          last = { text: `no answer: ${error.message}`, isError: true };
          // It may have been executed: asking another member could do it twice.
          if (request.method !== "GET" && error.sent) return last;
          continue;
        }
        // A member that is starting or has lost its leader says 5xx; another may know better (facts §1.1).
        if (!last.isError || request.method !== "GET" || !/ answered 5\d\d\n/.test(last.text)) return last;
      }
      return last;
    },
  };
}
