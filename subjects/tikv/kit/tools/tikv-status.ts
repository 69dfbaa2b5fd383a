import { z } from "zod";
import type { Effect, Tool } from "../../../../harness/protocol.ts";
import type { StatusClient } from "../clients/status.ts";
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

export function tikvStatus(stores: StatusClient): Tool<typeof input> {
  return {
    name: "tikv_status",
    description:
      "Send a request to one store's status port. An answer means that the process has started, never that it is well.",
    input,
    effect: ({ method, path }) => statusEffect(method, path),
    run: async ({ store, method, path, body }, signal) =>
      answerResult(store, await stores.request(store, method, path, bodyText(body), signal)),
  };
}
