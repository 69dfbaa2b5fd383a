/** What `exec` runs as `ls` in a node of the process engine: names and sizes below its own folder, nowhere else. */
import { lstatSync, readdirSync, realpathSync } from "node:fs";
import path from "node:path";

const home = realpathSync(process.cwd());
for (const operand of process.argv
  .slice(2)
  .filter((arg) => !arg.startsWith("-"))
  .concat(operandMissing() ? ["."] : []))
  list(operand);

function operandMissing(): boolean {
  return process.argv.slice(2).every((arg) => arg.startsWith("-"));
}

function list(operand: string): void {
  try {
    const folder = realpathSync(path.resolve(home, operand));
    if (folder !== home && !folder.startsWith(home + path.sep)) throw new Error("outside of the node's folder");
    for (const name of readdirSync(folder).sort()) {
      const found = lstatSync(path.join(folder, name));
      const when = found.mtime.toISOString().slice(0, 16).replace("T", " ");
      process.stdout.write(`${found.isDirectory() ? "d" : "-"} ${String(found.size).padStart(12)} ${when} ${name}\n`);
    }
  } catch {
    process.stderr.write(`ls: cannot access '${operand}': No such file or directory\n`);
    process.exitCode = 2;
  }
}
