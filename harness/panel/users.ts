import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { ConfigError, errorText } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";

/**
 * OWASP's Password Storage Cheat Sheet names N=2^14, r=8, p=5 among its equivalent choices for scrypt; this one needs
 * 16 MiB, which a container with a small limit has.
 */
const COST = { N: 16_384, r: 8, p: 5 } as const;
const HASH_BYTES = 32;
export const MIN_PASSWORD_LENGTH = 10;

const line = z
  .string()
  .regex(/^[a-z][a-z0-9_.-]{0,31}:scrypt:[A-Za-z0-9_-]{22}:[A-Za-z0-9_-]{43}$/, "not `name:scrypt:salt:hash`");
const userName = /^[a-z][a-z0-9_.-]{0,31}$/;

interface Hashed {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** Who may sign in: a file with one `name:scrypt:salt:hash` a line. Read at each use, so that a change needs no restart. */
export interface Users {
  readonly path: string;
  /** @throws ConfigError when the file cannot be read or is none of ours. */
  names(): readonly string[];
  /** Takes the same time whether the name or the password is wrong. */
  matches(name: string, password: string): Promise<boolean>;
  /** Another one after a new password; null for somebody who is not there. */
  mark(name: string): string | null;
}

export function openUsers(path: string): Users {
  // One at a time: each costs memory, and whoever guesses shall not have several at once.
  let queue: Promise<unknown> = Promise.resolve();
  const decoy: Hashed = { salt: randomBytes(16), hash: randomBytes(HASH_BYTES) };
  return {
    path,
    names: () => [...readUsers(path).keys()],
    mark: (name) => readUsers(path).get(name)?.salt.toString("hex") ?? null,
    matches: (name, password) => {
      const known = readUsers(path).get(name);
      const turn = queue.then(async () => {
        const { salt, hash } = known ?? decoy;
        const same = timingSafeEqual(await hashOf(password, salt), hash);
        return same && known !== undefined;
      });
      queue = turn.catch(() => {});
      return turn;
    },
  };
}

/**
 * Adds a person, or gives one a new password, which ends what was signed in with the old one.
 * @throws ConfigError for a name or password that will not do, or a file that cannot be written.
 */
export async function setPassword(path: string, name: string, password: string): Promise<void> {
  if (!userName.test(name))
    throw new ConfigError(`${name} will not do as a name: lower-case letters, digits, "_", "." and "-", at most 32`);
  if (password.length < MIN_PASSWORD_LENGTH)
    throw new ConfigError(`the password is too short: at least ${MIN_PASSWORD_LENGTH} characters`);
  const salt = randomBytes(16);
  writeUsers(path, new Map(readUsers(path)).set(name, { salt, hash: await hashOf(password, salt) }));
}

/** @returns false when there is no such person. @throws ConfigError as `setPassword`. */
export function removeUser(path: string, name: string): boolean {
  const users = new Map(readUsers(path));
  if (!users.delete(name)) return false;
  writeUsers(path, users);
  return true;
}

/** Replaces the file whole, mode 0600. */
function writeUsers(path: string, users: ReadonlyMap<string, Hashed>): void {
  const text = [...users].map(
    ([user, { salt, hash }]) => `${user}:scrypt:${salt.toString("base64url")}:${hash.toString("base64url")}\n`,
  );
  try {
    makeFolder(dirname(path), 0o700);
    writeFileSync(`${path}.new`, text.join(""), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new ConfigError(`cannot write ${path}: ${errorText(error)}`, { cause: error });
  }
}

function readUsers(path: string): ReadonlyMap<string, Hashed> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw new ConfigError(`cannot read ${path}: ${errorText(error)}`, { cause: error });
  }
  const lines = text.split("\n").filter((one) => one.trim() !== "" && !one.startsWith("#"));
  return new Map(
    lines.map((one, index) => {
      const parsed = line.safeParse(one.trim());
      // The line itself is not shown: it may be a password that somebody typed there.
      if (!parsed.success) throw new ConfigError(`${path}, entry ${index + 1}: not \`name:scrypt:salt:hash\``);
      const [name = "", , salt = "", hash = ""] = parsed.data.split(":");
      return [name, { salt: Buffer.from(salt, "base64url"), hash: Buffer.from(hash, "base64url") }];
    }),
  );
}

function hashOf(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, HASH_BYTES, { ...COST, maxmem: 64 * 1024 * 1024 }, (error, hash) =>
      error === null ? resolve(hash) : reject(error),
    );
  });
}
