import { createRequire } from "node:module";
import { z } from "zod";

/** The sources and the compiled files lie at different depths below package.json. */
export function packageVersion(): string {
  const path = import.meta.url.endsWith(".ts") ? "../../package.json" : "../../../package.json";
  return z.object({ version: z.string() }).parse(createRequire(import.meta.url)(path)).version;
}
