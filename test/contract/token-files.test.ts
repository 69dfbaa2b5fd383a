import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { fileTokens, newToken, rotateToken } from "../../harness/control/tokens/index.ts";
import { tokenProviderSuite, type ProviderScene } from "./token-provider.suite.ts";

const signal = new AbortController().signal;
const deps = { clock: systemClock, ids: randomIds };

class Files implements ProviderScene {
  readonly root = mkdtempSync(join(tmpdir(), "tokens-"));
  readonly provider = fileTokens(this.root, deps);
  readonly checksVersion = true;
  readonly dir = join(this.root, "compose_agent");
  readonly path = join(this.dir, "token.json");

  writeRaw(data: unknown): Promise<void> {
    mkdirSync(this.dir, { mode: 0o700 });
    writeFileSync(this.path, JSON.stringify(data), { mode: 0o600 });
    return Promise.resolve();
  }

  issue() {
    return rotateToken(this.provider, "compose_agent", {}, deps, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.root, { recursive: true, force: true });
    return Promise.resolve();
  }
}

tokenProviderSuite("files", () => Promise.resolve(new Files()));

describe("token files", () => {
  test("are private: 0600 in a directory of their own with 0700, and nothing else is left beside them", async () => {
    await using files = new Files();
    await files.issue();
    await files.issue();
    expect(statSync(files.path).mode & 0o777).toBe(0o600);
    expect(statSync(files.dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(files.dir).filter((name) => !name.startsWith("writer.lock"))).toEqual(["token.json"]);
    expect(readdirSync(files.root)).toEqual(["compose_agent"]);
  });

  test.each<[string, (files: Files) => void]>([
    ["a file that the group may read", ({ path }) => chmodSync(path, 0o640)],
    ["a file that everybody may read", ({ path }) => chmodSync(path, 0o604)],
    ["a directory that others may write to", ({ dir }) => chmodSync(dir, 0o770)],
    [
      "a symbolic link",
      ({ path, root }) => {
        linkSync(path, join(root, "elsewhere"));
        rmSync(path);
        symlinkSync(join(root, "elsewhere"), path);
      },
    ],
    [
      "a directory in its place",
      ({ path }) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])("%s is refused", async (_, widen) => {
    await using files = new Files();
    await files.issue();
    widen(files);
    await expect(files.provider.fetch("compose_agent", signal)).rejects.toMatchObject({ reason: "permissions" });
  });

  test("what is no JSON is refused without a word of it", async () => {
    await using files = new Files();
    await files.issue();
    const secret = newToken(randomIds);
    writeFileSync(files.path, secret);
    const read = files.provider.fetch("compose_agent", signal);
    await expect(read).rejects.toMatchObject({ reason: "malformed" });
    await read.catch((error: Error) => expect(error.message).not.toContain(secret.slice(0, 8)));
  });

  test("a reader sees the old one or the new one, never a part, while others rotate", async () => {
    await using files = new Files();
    await files.issue();
    let rotating = true;
    const seen = new Set<string>();
    const reading = (async () => {
      while (rotating) seen.add((await files.provider.fetch("compose_agent", signal))?.current.token ?? "none");
    })();
    const issued = new Set<string>();
    // Two at once: one may lose and tries again, as a person would.
    const rotator = async () => {
      for (let done = 0; done < 10;) {
        try {
          issued.add((await files.issue()).current.token);
          done++;
        } catch (error) {
          expect(error).toMatchObject({ reason: "changed" });
        }
      }
    };
    await Promise.all([rotator(), rotator()]);
    rotating = false;
    await reading;
    expect(issued.size).toBe(20);
    expect(seen).not.toContain("none");
    const { current, previous } = JSON.parse(readFileSync(files.path, "utf8")) as any;
    expect(current).toBeUndefined();
    expect(previous).toHaveLength(20);
  });
});
