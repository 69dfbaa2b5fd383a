import type { HttpParts } from "./parts.ts";
import { isIds } from "./create-operator.ts";
import { json, objectBody, type Routes } from "./reply.ts";

const DEFAULT_TIMEOUT_SEC = 600;

/** `/admin/unsafe/...`: what loses data on purpose. */
export function unsafeRoutes({ cluster }: HttpParts): Routes {
  return {
    "GET /pd/api/v1/admin/unsafe/remove-failed-stores/show": () => json(cluster.recovery.show()),
    "POST /pd/api/v1/admin/unsafe/remove-failed-stores": async ({ body }) => {
      const input = objectBody(body);
      const autoDetect = input["auto-detect"] === true;
      const stores = input["stores"] ?? [];
      if (!isIds(stores)) return json("Store ids are invalid", 400);
      const timeout = typeof input["timeout"] === "number" ? input["timeout"] : DEFAULT_TIMEOUT_SEC;
      await cluster.recovery.start([...new Set(stores)], timeout, autoDetect);
      return json("Request has been accepted.");
    },
  };
}
