import { readdir, readFile, readlink } from "node:fs/promises";
import type { LabHome } from "./lab-process.ts";

export interface SeenProcess {
  readonly pid: number;
  readonly command: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** Processes that work in this home's folder or have it in their command lines. Linux only. */
export async function processesOf({ folder }: Pick<LabHome, "folder">): Promise<SeenProcess[]> {
  const found: SeenProcess[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [command, environment] = [(await read("cmdline")).replaceAll("\0", " "), await read("environ")];
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (!`${command}${cwd}`.includes(folder)) continue;
    const pairs = environment.split("\0").map((pair) => [pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1)]);
    found.push({ pid: Number(pid), command, variables: Object.fromEntries(pairs) as Record<string, string> });
  }
  return found;
}
