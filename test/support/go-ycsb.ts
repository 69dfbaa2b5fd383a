import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { imageLabels } from "../../harness/engine/images.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { buildPinned } from "./go.ts";

const run = promisify(execFile);
const MAX_PROGRAM_BYTES = 200 << 20;

/** The pinned go-ycsb: out of its image where there is one, so that it is not compiled twice. @returns its path */
export async function goYcsb(folder: string): Promise<string> {
  const { tag } = ownImages.goYcsb;
  const image = process.platform === "linux" && (await imageLabels(tag, AbortSignal.timeout(30_000))) !== null;
  if (!image) return await buildPinned("docker/go-ycsb", "github.com/pingcap/go-ycsb/cmd/go-ycsb", folder);
  const program = path.join(folder, "go-ycsb");
  const cat = ["run", "--rm", "--entrypoint", "cat", tag, "/usr/local/bin/go-ycsb"];
  const { stdout } = await run("docker", cat, { encoding: "buffer", maxBuffer: MAX_PROGRAM_BYTES });
  await writeFile(program, stdout, { mode: 0o755 });
  return program;
}

/** The last figures of each operation in go-ycsb's plain output. They are cumulative. */
export function figures(output: string): ReadonlyMap<string, Readonly<Record<string, number>>> {
  const found = new Map<string, Readonly<Record<string, number>>>();
  for (const line of output.split("\n")) {
    const [, operation, rest] = /([A-Z_]+) *- (Takes\(s\): .*)$/.exec(line) ?? [];
    if (operation === undefined || rest === undefined) continue;
    const pairs = rest.split(", ").map((pair) => pair.split(": "));
    found.set(operation, Object.fromEntries(pairs.map(([name = "", value]) => [name, Number(value)])));
  }
  return found;
}
