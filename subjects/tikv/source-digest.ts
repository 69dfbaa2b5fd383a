import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

/** What an embedded cluster is made of, below this checkout. */
const PARTS = ["subjects/tikv/stand-in", "subjects/tikv/proto", "subjects/tikv/embedded.ts", "subjects/common"];
const SOURCES = path.resolve(import.meta.dirname, "../..");

let known: string | null = null;

/** Digest of the stand-ins' sources, for the record and for baseline keys. Read once: a process runs what it loaded. */
export function standInDigest(): string {
  known ??= digestOf(PARTS.flatMap(filesBelow));
  return known;
}

function filesBelow(part: string): string[] {
  const absolute = path.join(SOURCES, part);
  if (path.extname(part) !== "") return [part];
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".md"))
    .map((entry) => path.relative(SOURCES, path.join(entry.parentPath, entry.name)));
}

function digestOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files.toSorted())
    hash
      .update(`${file}\0`)
      .update(readFileSync(path.join(SOURCES, file)))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}
