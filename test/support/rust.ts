import { execFile, spawnSync } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { REPOSITORY } from "./repository.ts";

const run = promisify(execFile);

/** Why nothing can be built in Rust here, or null. Under CI there must be a Rust. */
export const whyNoRust = spawnSync("cargo", ["--version"]).status === 0 ? null : "there is no cargo";
if (whyNoRust !== null && (process.env["CI"] ?? "") !== "") throw new Error(`${whyNoRust} (and CI is set)`);

/** A first build downloads and compiles everything. */
export const RUST_BUILD_TIMEOUT_MS = 600_000;

/** Builds the program in `test/tools/<tool>`; what is made stays, so that the next time costs nothing. @returns its path */
export async function buildRust(tool: string): Promise<string> {
  const target = path.join(REPOSITORY, ".toolchain", tool);
  await run("cargo", ["build", "--locked", "--quiet", "--target-dir", target], {
    cwd: path.join(REPOSITORY, "test/tools", tool),
    timeout: RUST_BUILD_TIMEOUT_MS,
  });
  return path.join(target, "debug", tool);
}
