/** What `exec` runs as `df` in a node of the process engine: the file system that its data folder is on. */
import { statfsSync } from "node:fs";

const { bsize, blocks, bfree, bavail } = statfsSync(".");
const kilobytes = (count: number): number => Math.round((count * bsize) / 1024);
const used = kilobytes(blocks - bfree);
const available = kilobytes(bavail);
const share = Math.ceil((100 * used) / Math.max(1, used + available));
const rows = [
  ["Filesystem", "1K-blocks", "Used", "Available", "Use%", "Mounted on"],
  ["overlay", String(kilobytes(blocks)), String(used), String(available), `${share}%`, "/"],
];
for (const [name = "", ...columns] of rows)
  process.stdout.write(`${name.padEnd(14)} ${columns.map((text) => text.padStart(11)).join(" ")}\n`);
