import { createRequire } from "node:module";
import { z } from "zod";

const require = createRequire(import.meta.url);
const described = z.object({ version: z.string() });

/**
 * The version of whatever this file is part of: its sources, what was compiled from them (one folder deeper), or an
 * image, which may say none.
 */
export function packageVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    const found = described.safeParse(contentOf(path));
    if (found.success) return found.data.version;
  }
  return "unknown";
}

function contentOf(path: string): unknown {
  try {
    return require(path);
  } catch {
    return null;
  }
}
