import type { Effect } from "../../../../harness/protocol.ts";

interface Rule {
  readonly method: "POST" | "DELETE";
  readonly path: RegExp;
  readonly effect: Effect | ((request: { readonly query: URLSearchParams; readonly body: unknown }) => Effect);
}

const V1 = "^/pd/api/v1";
const at = (path: string): RegExp => new RegExp(`${V1}${path}$`);
const NAME = "[A-Za-z0-9_-]+";

/** Settings that make PD delete replicas or move all data: hours of work, or none to take back. */
const MOVES_DATA =
  /max-replicas|placement-rules|location-labels|isolation-level|strictly-match-label|max-store-down-time/;

const settings = (body: unknown): Effect => (MOVES_DATA.test(JSON.stringify(body) ?? "") ? "destructive" : "write");

const operatorNames = ["transfer-leader", "scatter-region", "split-region", "transfer-peer", "transfer-region"];
const addingNames = ["add-peer", "add-learner", "merge-region"];

/** What changes something and can be taken back by another request. `tikv-facts.md` section 1 lists the paths. */
const RULES: readonly Rule[] = [
  { method: "POST", path: at("/leader/resign"), effect: "write" },
  { method: "POST", path: at(`/leader/transfer/${NAME}`), effect: "write" },
  { method: "POST", path: at(`/members/name/${NAME}`), effect: "write" },
  { method: "POST", path: at("/config"), effect: ({ body }) => settings(body) },
  { method: "POST", path: at("/config/schedule"), effect: ({ body }) => settings(body) },
  {
    method: "POST",
    path: at("/store/\\d+/state"),
    effect: ({ query }) => (query.getAll("state").join() === "Up" ? "write" : "destructive"),
  },
  { method: "POST", path: at("/store/\\d+/limit"), effect: "write" },
  { method: "POST", path: at("/stores/limit"), effect: "write" },
  { method: "POST", path: at("/store/\\d+/weight"), effect: "write" },
  // Presence alone counts as force, whatever its value: then the labels that are not named are gone.
  {
    method: "POST",
    path: at("/store/\\d+/label"),
    effect: ({ query }) => (query.has("force") ? "destructive" : "write"),
  },
  { method: "POST", path: at("/regions/split"), effect: "write" },
  { method: "POST", path: at("/regions/scatter"), effect: "write" },
  {
    method: "POST",
    path: at("/operators"),
    effect: ({ body }) =>
      [...operatorNames, ...addingNames].includes((body as { name?: string } | null)?.name ?? "")
        ? "write"
        : "destructive",
  },
  { method: "DELETE", path: at("/operators(/\\d+)?"), effect: "write" },
  { method: "POST", path: at("/schedulers"), effect: "write" },
  { method: "POST", path: at(`/schedulers/${NAME}`), effect: "write" },
  { method: "DELETE", path: at(`/schedulers/${NAME}`), effect: "write" },
  { method: "POST", path: at(`/checker/${NAME}`), effect: "write" },
  { method: "POST", path: at("/admin/log"), effect: "write" },
];

/** What a request to PD does. What no rule lists is destructive; PD has no GET that changes anything. */
export function pdEffect(method: string, target: string, body: unknown): Effect {
  if (method === "GET") return "read";
  // PD's metadata store answers a range read to a POST.
  if (method === "POST" && target === "/v3/kv/range") return "read";
  const [path = "", query = ""] = target.split("?", 2);
  const rule = RULES.find((candidate) => candidate.method === method && candidate.path.test(path));
  if (rule === undefined) return "destructive";
  if (typeof rule.effect === "string") return rule.effect;
  return rule.effect({ query: new URLSearchParams(query), body: parsed(body) });
}

/** Text that is not JSON will be refused by PD; until then it matches no rule that looks inside. */
function parsed(body: unknown): unknown {
  if (typeof body !== "string") return body ?? null;
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return body;
  }
}
