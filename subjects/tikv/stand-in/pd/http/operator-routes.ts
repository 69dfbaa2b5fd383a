import { PdRefusal } from "../cluster.ts";
import type { Region } from "../regions.ts";
import { operatorObject, operatorText, STATUS_WORDS, type Operator, type Plan } from "../schedule/operator.ts";
import type { HttpParts } from "./parts.ts";
import { json, numberParam, objectBody, type Routes } from "./reply.ts";

export function operatorRoutes({ cluster, coordinator }: HttpParts): Routes {
  const shown = (operators: readonly Operator[], asObjects: boolean) =>
    json(operators.map((operator) => (asObjects ? operatorObject(operator) : operatorText(operator))));
  const { operators } = cluster;
  return {
    "GET /pd/api/v1/operators": ({ query }) => {
      const kinds = query.getAll("kind");
      const hit = operators.all().filter(({ kinds: own }) => kinds.length === 0 || own.some((k) => kinds.includes(k)));
      return shown(hit, query.has("object"));
    },
    "GET /pd/api/v1/operators/records": ({ query }) => {
      const fromMs = Number(query.get("from") ?? 0) * 1_000;
      return shown(
        operators.records().filter(({ finishedAtMs }) => finishedAtMs >= fromMs),
        query.has("object"),
      );
    },
    "GET /pd/api/v1/operators/{region}": ({ params }) => {
      const id = numberParam(params["region"] ?? "");
      const found = operators.get(id) ?? operators.records().find(({ regionId }) => regionId === id);
      if (found === undefined) throw operatorNotFound();
      return json(`status: ${STATUS_WORDS[found.status]}, operator: ${operatorText(found)}`);
    },
    "POST /pd/api/v1/operators": ({ body }) => {
      const input = objectBody(body);
      const plan = planOf(input);
      const id = Number(input["region_id"]);
      const region = cluster.regions.get(id);
      if (region === undefined) throw new PdRefusal(500, `[PD:region:ErrRegionNotFound]region ${id} not found`);
      const ready = plan(region, () => {
        const peerId = cluster.ids.tryNext();
        if (peerId === null) throw new PdRefusal(500, "no id available");
        return peerId;
      });
      if (ready.steps.length > 0 && !coordinator.start(region, ready))
        throw new PdRefusal(500, "[PD:schedule:ErrAddOperator]failed to add operator, maybe already have one");
      return json("The operator is created.");
    },
    "DELETE /pd/api/v1/operators/{region}": ({ params }) => {
      if (!operators.cancel(numberParam(params["region"] ?? ""))) throw operatorNotFound();
      return json("The pending operator is canceled.");
    },
    "DELETE /pd/api/v1/operators": () => {
      for (const { regionId } of operators.all()) operators.cancel(regionId);
      return json("All pending operators are canceled.");
    },
  };
}

function operatorNotFound(): PdRefusal {
  return new PdRefusal(500, "[PD:operator:ErrOperatorNotFound]operator not found");
}

type Planner = (region: Region, newId: () => number) => Plan;

/** Input errors come before the region is looked up. @throws PdRefusal 400 */
function planOf(input: Record<string, unknown>): Planner {
  const { name } = input;
  const store = (key: string, missing: string): number => {
    const value = input[key];
    if (typeof value !== "number") throw new PdRefusal(400, missing);
    return value;
  };
  if (typeof name !== "string") throw new PdRefusal(400, "missing operator name");
  switch (name) {
    case "transfer-leader": {
      const to = store("to_store_id", "missing store id to transfer leader to");
      return (region) => {
        if (region.peers.every(({ storeId, role }) => storeId !== to || role !== 0))
          throw new PdRefusal(500, `region has no voter in store ${to}`);
        const steps = [{ kind: "transfer-leader", from: region.leader?.storeId ?? 0, to }] as const;
        return { desc: "admin-transfer-leader", kinds: ["admin", "leader"], steps };
      };
    }
    case "add-peer": {
      const to = store("store_id", "invalid store id to transfer peer to");
      return (_, newId) => ({
        desc: "admin-add-peer",
        kinds: ["admin", "region"],
        steps: [{ kind: "add-peer", storeId: to, peerId: newId() }],
      });
    }
    case "remove-peer": {
      const from = store("store_id", "invalid store id to transfer peer from");
      return (region) => {
        demandPeer(region, from);
        return {
          desc: "admin-remove-peer",
          kinds: ["admin", "region"],
          steps: [{ kind: "remove-peer", storeId: from }],
        };
      };
    }
    case "transfer-peer": {
      const from = store("from_store_id", "invalid store id to transfer peer from");
      const to = store("to_store_id", "invalid store id to transfer peer to");
      return (region, newId) => {
        demandPeer(region, from);
        const add = { kind: "add-peer", storeId: to, peerId: newId() } as const;
        const hand = region.leader?.storeId === from ? [{ kind: "transfer-leader", from, to } as const] : [];
        const steps = [add, ...hand, { kind: "remove-peer", storeId: from } as const];
        return { desc: "admin-move-peer", kinds: ["admin", "region"], steps };
      };
    }
    case "split-region":
      return () => splitPlan(input);
    case "scatter-region":
      return () => ({ desc: "scatter-region", kinds: ["admin"], steps: [] });
    default:
      throw new PdRefusal(400, "unknown operator");
  }
}

function demandPeer(region: Region, storeId: number): void {
  if (region.peers.every((peer) => peer.storeId !== storeId))
    throw new PdRefusal(500, `region has no peer in store ${storeId}`);
}

function splitPlan(input: Record<string, unknown>): Plan {
  const policy = String(input["policy"] ?? "").toUpperCase();
  if (policy !== "SCAN" && policy !== "APPROXIMATE" && policy !== "USEKEY")
    throw new PdRefusal(400, "missing split policy");
  const keys = Array.isArray(input["keys"]) ? input["keys"].map((key) => String(key).toLowerCase()) : [];
  return { desc: "admin-split-region", kinds: ["admin", "split"], steps: [{ kind: "split", policy, keys }] };
}
