import { z } from "zod";
import type { Tool } from "../../../../harness/protocol.ts";
import { pdPath, type PdClient } from "../clients/pd.ts";
import { answerResult, bodyInput, bodyText, pathInput } from "./http-input.ts";
import { pdEffect } from "./pd-effect.ts";

const input = z.strictObject({
  method: z.enum(["GET", "POST", "DELETE"]),
  path: pathInput.describe(
    "/stores means /pd/api/v1/stores. /metrics, /livez, /readyz and /v3/… are at the server's root; set root for its /health",
  ),
  body: bodyInput,
  member: z
    .string()
    .max(63)
    .optional()
    .describe("ask just this PD, e.g. pd1; default: the leader. Followers pass most requests on to the leader"),
  root: z
    .boolean()
    .default(false)
    .describe(
      "true = the path starts at the server's root, e.g. /health of the metadata store: does it have a majority?",
    ),
  reason: z.string().min(10).max(1_000).describe("why this call is right now, for the audit trail"),
});

const READ_TIMEOUT_MS = 6_000;
/** Splitting regions can hang for more than 15 s when a leader's store does not act (facts §10). */
const WRITE_TIMEOUT_MS = 20_000;

const AT_ROOT = /^\/(metrics|livez|readyz|v3\/|debug\/)/;

function target({ path, root }: { readonly path: string; readonly root: boolean }): string {
  return root || AT_ROOT.test(path) ? path : pdPath(path);
}

/** PD's HTTP API, whole: what changes nothing, what can be taken back and what cannot are told apart per call. */
export function pdRequest(pd: PdClient): Tool<typeof input> {
  return {
    name: "pd_request",
    description:
      "Send a request to PD's HTTP API: stores, regions, members, schedulers, operators, settings. " +
      'PD takes booleans in settings as text ("true"). Read back what you change: some wrong requests are answered with 200.',
    input,
    effect: (request) => pdEffect(request.method, target(request), request.body),
    async run(request, signal) {
      const { member, method } = request;
      if (member !== undefined && !pd.members.some((name) => name === member))
        return { text: `no such PD member: ${member}; there are ${pd.members.join(", ")}`, isError: true };
      const options = {
        timeoutMs: method === "GET" ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS,
        ...(member === undefined ? {} : { member }),
      };
      const answer = await pd.request(method, target(request), bodyText(request.body), signal, options);
      return answerResult(answer.member, answer);
    },
  };
}
