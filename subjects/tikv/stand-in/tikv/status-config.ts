import { errorText } from "../../../../harness/base/errors.ts";
import { namedLevel, type NodeLogLevel } from "../node-log.ts";
import { ConfigNotPersisted, type ConfigController } from "./config/controller.ts";
import { configJson } from "./config/json.ts";
import { EMPTY, jsonReply, textReply, type StatusReply } from "./status-reply.ts";

/** `GET /config[?full=true]` */
export function getConfig(config: ConfigController, query: URLSearchParams): StatusReply {
  const full = query.get("full") ?? "false";
  if (full !== "true" && full !== "false") return textReply(400, "provided string was not `true` or `false`");
  return jsonReply(configJson(full === "true" ? config.current : config.documented));
}

/** `POST /config[?persist=false]`: all of it or nothing, with TiKV's texts (src/server/status_server/mod.rs). */
export function postConfig(config: ConfigController, query: URLSearchParams, body: string): StatusReply {
  const persist = query.get("persist") ?? "true";
  if (persist !== "true" && persist !== "false") return textReply(400, "provided string was not `true` or `false`");
  const change = decoded(body);
  if (typeof change === "string") return textReply(500, `failed to decode, error: ${change}`);
  try {
    config.update(change, persist === "true");
    return EMPTY;
  } catch (error) {
    if (error instanceof ConfigNotPersisted)
      return textReply(500, `config changed, but failed to persist change due to err: ${error.message}`);
    return textReply(500, `failed to update, error: ${JSON.stringify(errorText(error))}`);
  }
}

/** `PUT /config/reload` */
export function reloadConfig(config: ConfigController): StatusReply {
  try {
    config.reload();
    return EMPTY;
  } catch (error) {
    return textReply(500, `failed to update, error: ${errorText(error)}`);
  }
}

/** `PUT /log-level` with `{"log_level":"debug"}`. */
export function putLogLevel(body: string, set: (level: NodeLogLevel) => void): StatusReply {
  const value = parsed(body);
  if (value instanceof SyntaxError) return textReply(400, serdeText(body));
  const said =
    (value as Record<string, unknown> | null)?.["log_level"] ??
    (value as Record<string, unknown> | null)?.["log-level"];
  if (said === undefined) return textReply(400, `missing field \`log-level\` at line 1 column ${body.length}`);
  const level = typeof said === "string" ? namedLevel(said) : null;
  if (level === null)
    return textReply(400, `unknown variant ${JSON.stringify(said)}, expected one of debug, info, warn, error, fatal`);
  set(level);
  return EMPTY;
}

/** Flat and scalar, as text; or what is wrong with it, as Rust prints errors. */
function decoded(body: string): Readonly<Record<string, string>> | string {
  const value = parsed(body);
  if (value instanceof SyntaxError)
    return `Error(${JSON.stringify(serdeText(body).replace(/ at line.*/, ""))}, line: 1, column: ${Math.max(1, body.length)})`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return '"wrong format"';
  const texts: Record<string, string> = {};
  for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
    if (Array.isArray(item)) return '"array type are not supported"';
    if (typeof item !== "string" && typeof item !== "number" && typeof item !== "boolean") return '"wrong format"';
    texts[key] = String(item);
  }
  return texts;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch (error) {
    return error instanceof SyntaxError ? error : new SyntaxError(errorText(error));
  }
}

/** serde_json knows where and why; ours knows that. */
function serdeText(body: string): string {
  return body.trim() === ""
    ? "EOF while parsing a value at line 1 column 0"
    : `expected value at line 1 column ${Math.max(1, body.length)}`;
}
