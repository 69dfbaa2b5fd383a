import { z } from "zod";
import type { Effect, Endpoints, Tool } from "../../../../harness/protocol.ts";
import { exchange, type ClientDeps } from "../clients/http.ts";
import { answerResult, bodyInput, bodyText, pathInput } from "./http-input.ts";

const input = z.strictObject({
  store: z.string().max(63).describe("the store's component, e.g. tikv1"),
  method: z.enum(["GET", "POST", "PUT"]),
  path: pathInput.describe("e.g. /status, /metrics, /config, /region/14, /engine_type"),
  body: bodyInput,
  reason: z.string().min(10).max(1_000).describe("why this call is right now, for the audit trail"),
});

/** What changes something and can be taken back; `tikv-facts.md` section 3 lists the paths. */
const WRITES: readonly { readonly method: string; readonly path: RegExp }[] = [
  { method: "POST", path: /^\/config(\?persist=(true|false))?$/ },
  { method: "PUT", path: /^\/config\/reload$/ },
  { method: "PUT", path: /^\/log-level$/ },
  { method: "PUT", path: /^\/pause_grpc$/ },
  { method: "PUT", path: /^\/resume_grpc$/ },
];

/** GET only looks; what no rule lists is destructive. */
export function statusEffect(method: string, path: string): Effect {
  if (method === "GET") return "read";
  return WRITES.some((rule) => rule.method === method && rule.path.test(path)) ? "write" : "destructive";
}

/** A profile takes as long as it is asked to; nothing else here is slow unless the store is. */
const TIMEOUT_MS = 15_000;

export function tikvStatus(endpoints: Endpoints, deps: ClientDeps): Tool<typeof input> {
  return {
    name: "tikv_status",
    description:
      "Send a request to one store's status port. An answer means that the process has started, never that it is well.",
    input,
    effect: ({ method, path }) => statusEffect(method, path),
    async run({ store, method, path, body }, signal) {
      const address = endpoints.byComponent[store]?.["status"];
      if (address === undefined) return { text: `no such store: ${store}`, isError: true };
      const base = /^https?:/.test(address) ? address : `http://${address}`;
      const answer = await exchange(
        deps,
        {
          method,
          url: `${base.replace(/\/$/, "")}${path}`,
          body: bodyText(body),
          headers: body === undefined ? {} : { "content-type": "application/json" },
          timeoutMs: TIMEOUT_MS,
        },
        signal,
      );
      return answerResult(store, answer);
    },
  };
}
