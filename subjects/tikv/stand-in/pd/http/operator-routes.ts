import type { Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";
import { operatorObject, operatorText, recordText, STATUS_WORDS, type Operator } from "../schedule/operator.ts";
import { createOperator } from "./create-operator.ts";
import type { HttpParts } from "./parts.ts";
import { json, numberParam, objectBody, type Routes } from "./reply.ts";

export function operatorRoutes({ cluster, coordinator }: HttpParts): Routes {
  const { operators } = cluster;
  return {
    "GET /pd/api/v1/operators": ({ query }) => {
      const hit = ofKinds(cluster, query.getAll("kind"));
      return json(hit.map((operator) => (query.has("object") ? operatorObject(operator) : operatorText(operator))));
    },
    "GET /pd/api/v1/operators/records": ({ query }) => {
      const from = query.get("from") ?? "0";
      if (!/^-?\d+$/.test(from)) throw new PdRefusal(400, `strconv.ParseInt: parsing "${from}": invalid syntax`);
      const hit = operators.records().filter(({ finishedAtMs }) => finishedAtMs >= Number(from) * 1_000);
      if (hit.length === 0) throw operatorNotFound();
      return json(hit.map((operator) => (query.has("object") ? operatorObject(operator) : recordText(operator))));
    },
    "GET /pd/api/v1/operators/{region}": ({ params, query }) => {
      const id = numberParam(params["region"] ?? "");
      const found = operators.get(id) ?? operators.records().find(({ regionId }) => regionId === id);
      if (found === undefined) throw operatorNotFound();
      if (query.has("object")) return json(operatorObject(found));
      return json(`status: ${STATUS_WORDS[found.status]}, operator: ${operatorText(found)}`);
    },
    "POST /pd/api/v1/operators": ({ body }) => {
      const answer = createOperator(cluster, coordinator, objectBody(body));
      return json(answer ?? "The operator is created.");
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

/** PD knows no other kinds here: one that it does not know finds nothing. */
const ASKED = ["admin", "leader", "region"] as const;

function ofKinds({ operators }: Cluster, kinds: readonly string[]): readonly Operator[] {
  const all = operators.all();
  if (kinds.length === 0) return all;
  const wanted = ASKED.filter((kind) => kinds.includes(kind));
  return wanted.flatMap((kind) => all.filter((operator) => operator.kinds.includes(kind)));
}

function operatorNotFound(): PdRefusal {
  return new PdRefusal(500, "[PD:operator:ErrOperatorNotFound]operator not found");
}
