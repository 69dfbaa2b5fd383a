import { z } from "zod";
import { API_ERRORS, COMMANDS, type ApiErrorCode } from "../contract.ts";
import { HEADERS } from "../signing.ts";
import { COMPONENTS, ERROR_TEXTS, ROUTES, type RouteSpec } from "./routes.ts";

type Json = Record<string, unknown>;

const schemaOf = (type: z.ZodType, io: "input" | "output"): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(type, { io, unrepresentable: "any" }) as Json;
  return rest;
};

/** The API's document, made of the same schemas that requests are checked with. */
export function openApi(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of ROUTES) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Control API",
      version,
      description:
        "Signed commands to a cluster's containers. Checked in this order: size (413), signature (401), nonce (409), " +
        "scope (403), rate (429).",
    },
    paths,
    components: {
      schemas: {
        ...Object.fromEntries(Object.entries(COMPONENTS).map(([name, type]) => [name, schemaOf(type, "output")])),
        ...Object.fromEntries(
          Object.entries(COMMANDS).map(([name, { params, summary }]) => [
            `Params_${name}`,
            { description: summary, ...schemaOf(params, "input") },
          ]),
        ),
      },
      parameters: Object.fromEntries(
        Object.entries(HEADERS).map(([name, header]) => [
          name,
          { in: "header", name: header, required: name !== "idempotencyKey", schema: { type: "string" } },
        ]),
      ),
    },
  };
}

function operation(route: RouteSpec): Json {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    in: "path",
    name,
    required: true,
    schema: { type: "string" },
  }));
  const query = Object.entries(route.query?.shape ?? {}).map(([name, type]) => ({
    in: "query",
    name,
    schema: schemaOf(type as z.ZodType, "input"),
  }));
  const signed =
    route.scope === null ? [] : Object.keys(HEADERS).map((name) => ({ $ref: `#/components/parameters/${name}` }));
  return {
    summary: route.summary,
    ...(route.scope === null ? {} : { "x-scope": route.scope }),
    parameters: [...inPath, ...query, ...signed],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body, "input") } } },
        }),
    responses: { ...answers(route), ...(route.scope === null ? {} : refusals()) },
  };
}

function answers(route: RouteSpec): Json {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, { description, schema }]) => [
      status,
      {
        description,
        ...(schema === undefined ? {} : { content: { "application/json": { schema: schemaOf(schema, "output") } } }),
      },
    ]),
  );
}

/** By status, each with its codes. */
function refusals(): Json {
  const codes = Object.groupBy(Object.keys(API_ERRORS) as ApiErrorCode[], (code) => String(API_ERRORS[code]));
  return Object.fromEntries(
    Object.entries(codes).map(([status, some = []]) => [
      status,
      {
        description: some.map((code) => `${code}: ${ERROR_TEXTS[code]}`).join("; "),
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    ]),
  );
}
