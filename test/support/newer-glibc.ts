import { execFile } from "node:child_process";
import { promisify } from "node:util";

const NEWER = "GLIBC_2.99";

/**
 * An image whose `/app` is Debian's own `sleep`. With `good: false` it asks for a version of the C library that the
 * image does not have, as a program that was built on a newer system does: in its table of needed versions
 * (`.gnu.version_r`) the name of the newest one is replaced, in the string table and by its hash (System V ABI, the
 * function `elf_hash`). The program is started by the image's real loader, which refuses it in its own words and ends
 * with code 1.
 */
export async function imageThatNeedsNewerGlibc(tag: string, { good }: { readonly good: boolean }): Promise<void> {
  const found = "GLIBC_2.34";
  const patch = [
    `s/${found.replace(".", "\\.")}\\x00/${NEWER}\\x00/`,
    `s/${littleEndian(elfHash(found))}/${littleEndian(elfHash(NEWER))}/`,
  ].join("; ");
  const make = good ? "cp /bin/sleep /app" : `perl -0777 -pe '${patch}' /bin/sleep > /app && chmod 755 /app`;
  // The build fails where nothing was there to patch.
  const check = good ? "true" : `grep -q ${NEWER} /app && ! /app 0`;
  const dockerfile = `FROM debian:bookworm-slim\nRUN ${make} && ${check}\nCMD ["/app", "1000"]\n`;
  const building = promisify(execFile)("docker", ["build", "-q", "-t", tag, "-"]);
  building.child.stdin?.end(dockerfile);
  await building;
}

function elfHash(name: string): number {
  let hash = 0;
  for (const char of name) {
    hash = (hash << 4) + (char.codePointAt(0) ?? 0);
    const high = hash & 0xf0000000;
    if (high !== 0) hash ^= high >>> 24;
    hash &= ~high;
  }
  return hash >>> 0;
}

function littleEndian(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
