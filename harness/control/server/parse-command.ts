import { z } from "zod";
import { commandRequest, commandSpec, isCommand } from "../contract.ts";
import type { Scope } from "../planes.ts";
import { digestOf } from "../signing.ts";
import { ApiError } from "./api-error.ts";
import type { AskedCommand } from "./command-runner.ts";
import type { Caller } from "./gate.ts";

/** JSON of a body, checked. @throws ApiError `malformed`. */
export function bodyAs<S extends z.ZodType>(schema: S, { body }: Pick<Caller, "body">): z.output<S> {
  let json: unknown;
  try {
    json = body.length === 0 ? {} : JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw new ApiError("malformed", `the body is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  if (isDeeperThan(json, MOST_DEPTH)) throw new ApiError("malformed", `the body is nested deeper than ${MOST_DEPTH}`);
  return checked(schema, json);
}

/** Nothing of ours comes near; what is nested by the thousand can be read, and never written again (`JSON.stringify`). */
const MOST_DEPTH = 32;

function isDeeperThan(json: unknown, most: number): boolean {
  let level: readonly unknown[] = [json];
  for (let depth = 0; depth <= most && level.length > 0; depth++)
    level = level.flatMap((value) => (value !== null && typeof value === "object" ? Object.values(value) : []));
  return level.length > 0;
}

/** @throws ApiError `malformed`. */
export function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const read = schema.safeParse(value);
  if (!read.success) throw new ApiError("malformed", z.prettifyError(read.error).slice(0, 1_000));
  return read.data;
}

/**
 * The command in a body, and the scope that it needs. @throws ApiError `malformed`, `unknown-command`, `key-missing`.
 */
export function commandIn(caller: Caller, endpoint: string): { readonly asked: AskedCommand; readonly scope: Scope } {
  const request = bodyAs(commandRequest, caller);
  const { name } = request;
  if (!isCommand(name)) throw new ApiError("unknown-command", `invalid command: there is no '${name}'`);
  const spec = commandSpec(name);
  const params = checked(spec.params, request.params);
  const commandId = request.command_id ?? request.id;
  const idempotencyKey = caller.idempotencyKey === "" ? commandId : caller.idempotencyKey;
  if (commandId === undefined || idempotencyKey === undefined)
    throw new ApiError("key-missing", "neither an idempotency key nor a command id");
  const asked: AskedCommand = {
    plane: caller.plane,
    caller: caller.agentId,
    idempotencyKey,
    digest: digestOf(`${endpoint}\n${caller.bodyDigest}`),
    commandId,
    name,
    params,
    effect: spec.effect(params),
    request,
  };
  return { asked, scope: spec.scope(params) };
}
