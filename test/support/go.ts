import { execFile, spawnSync } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { describe, type SuiteFactory } from "vitest";
import { REPOSITORY } from "./repository.ts";

const run = promisify(execFile);
const hasGo = spawnSync("go", ["version"]).status === 0;

/** A first build downloads and compiles everything. */
export const GO_BUILD_TIMEOUT_MS = 600_000;

/** `describe` for what needs Go. Without it skipped, saying why; under CI it fails instead. */
export function describeGo(name: string, body: SuiteFactory): void {
  if (hasGo) return void describe(name, body);
  if ((process.env["CI"] ?? "") !== "") throw new Error(`${name}: there is no go (and CI is set)`);
  describe.skip(`${name} [not run here: there is no go]`, body);
}

export interface GoBuild {
  readonly env?: Readonly<Record<string, string>>;
  /** Another list of versions than `go.mod`, beside it. */
  readonly modfile?: string;
  /** The program's name; the tool's unless given. */
  readonly as?: string;
}

/** Builds the program in `test/tools/<tool>`, linked statically, into `folder`. @returns its path */
export async function buildGo(tool: string, folder: string, { env, modfile, as }: GoBuild = {}): Promise<string> {
  const program = path.join(folder, as ?? tool);
  const mod = modfile === undefined ? [] : [`-modfile=${modfile}`];
  await build(path.join(REPOSITORY, "test/tools", tool), [...mod, "-o", program, "."], env);
  return program;
}

/** Builds somebody else's program that a module of ours pins. @returns its path */
export async function buildPinned(
  module: string,
  goPackage: string,
  folder: string,
  flags: readonly string[] = [],
): Promise<string> {
  const program = path.join(folder, path.basename(goPackage));
  await build(path.join(REPOSITORY, module), [...flags, "-o", program, goPackage]);
  return program;
}

async function build(cwd: string, flags: readonly string[], env: GoBuild["env"] = {}): Promise<void> {
  await run("go", ["build", "-mod=readonly", "-trimpath", ...flags], {
    cwd,
    env: { ...process.env, ...env, CGO_ENABLED: "0" },
    timeout: GO_BUILD_TIMEOUT_MS,
  });
}
