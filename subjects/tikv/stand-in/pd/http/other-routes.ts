import type { HttpParts } from "./parts.ts";
import { json, text, type Routes } from "./reply.ts";

export function otherRoutes(_: HttpParts): Routes {
  return {
    "GET /pd/api/v1/min-resolved-ts": () =>
      json({ is_real_time: true, min_resolved_ts: 0, persist_interval: "1s", stores_min_resolved_ts: null }),
    "GET /pd/api/v1/replication_mode/status": () =>
      json({ mode: "majority", "dr-auto-sync": { label_key: "", state: "", acid_consistent: false } }),
    "GET /pd/api/v1/metric/query": () => text("metric storage doesn't set\n", 500),
    "GET /pd/api/v1/metric/query_range": () => text("metric storage doesn't set\n", 500),
  };
}
