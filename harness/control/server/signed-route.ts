import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Caller } from "./gate.ts";
import type { RouteSpec } from "./routes.ts";

export type ControlEnv = { Bindings: HttpBindings };
export type ControlContext = Context<ControlEnv>;

/** Answers one request of a caller whose signature held and whose key may do it. */
export type Signed = (c: ControlContext, caller: Caller, gone: AbortSignal) => Promise<Response> | Response;

/** Adds one route; `scope` is looked at before `run`, unless it is that of the command in the body. */
export type AddRoute = (method: RouteSpec["method"], path: string, scope: RouteSpec["scope"], run: Signed) => void;
