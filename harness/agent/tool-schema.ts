import { z } from "zod";
import type { Tool } from "../protocol.ts";

/** A tool's input as JSON Schema, the way clients of every kind are told of it. */
export function inputSchema(tool: Tool): Readonly<Record<string, unknown>> {
  const { $schema: _, ...schema } = z.toJSONSchema(tool.input, { io: "input" });
  return schema;
}
