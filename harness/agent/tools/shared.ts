import { z } from "zod";
import type { Component, ToolResult } from "../../protocol.ts";

/** Every call says why, for whoever reads the audit trail. */
export const reason = z.string().min(10).max(1_000).describe("why this call is right now, for the audit trail");

/** Also guards the engine: nothing that could be read as a flag or a path gets through. */
export const component = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, "a component's name, e.g. tikv1; container_list shows them")
  .transform((name) => name as Component)
  .describe("component, e.g. tikv1 or pd0; container_list shows them");

export function said(text: string): ToolResult {
  return { text, isError: false };
}

/** JSON; a list has one element a line, so that people find their way and a cut falls between elements. */
export function saidJson(value: unknown): ToolResult {
  if (!Array.isArray(value)) return said(JSON.stringify(value));
  return said(`[${value.map((element) => JSON.stringify(element)).join(",\n ")}]`);
}

/** The tool's own failure: text for the operator, nothing wrong with the program that runs it. */
export function refused(text: string): ToolResult {
  return { text, isError: true };
}
