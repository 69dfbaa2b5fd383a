import { createHash } from "node:crypto";
import { glob, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { $ } from "zx";
import { HarnessError } from "../base/errors.ts";
import { SOURCE_LABEL } from "./labels.ts";

export interface ImageBuild {
  /** e.g. `cluster-node:8.5`. */
  readonly tag: string;
  /** Absolute. */
  readonly dockerfile: string;
  /** Build context, absolute; its `.dockerignore` says what is sent. */
  readonly context: string;
  /** Files and folders below the context whose contents decide whether a rebuild is needed. */
  readonly sources: readonly string[];
}

const run = $({ quiet: true, nothrow: true });

/**
 * Builds an image unless one with this tag was built from the same sources. Through the `docker` command and not the
 * API, so that BuildKit and the legacy builder both work.
 *
 * @param onBuild told before it begins, which may take minutes.
 * @returns true when it was built.
 * @throws HarnessError `image-missing` with the end of the build's output when it fails.
 */
export async function ensureImage(build: ImageBuild, signal: AbortSignal, onBuild?: () => void): Promise<boolean> {
  const { tag, dockerfile, context } = build;
  const digest = await sourceDigest(build);
  if ((await imageLabels(tag, signal))?.[SOURCE_LABEL] === digest) return false;
  onBuild?.();
  const before = (await run({ signal })`docker image inspect --format ${"{{.Id}}"} ${tag}`).stdout.trim();
  const built = await run({
    signal,
  })`docker build --force-rm -t ${tag} --label ${`${SOURCE_LABEL}=${digest}`} -f ${dockerfile} ${context}`;
  signal.throwIfAborted();
  if (built.exitCode !== 0)
    throw new HarnessError(
      "image-missing",
      `cannot build the image ${tag}:\n${tail(`${built.stdout}\n${built.stderr}`)}`,
      {
        details: { tag, dockerfile },
      },
    );
  // The one that has just lost its name; kept where it has another (the watchdog's, as the last that worked), and
  // refused while a container still uses it.
  const names = (await run`docker image inspect --format ${"{{len .RepoTags}}"} ${before}`).stdout.trim();
  if (before !== "" && names === "0") await run`docker image rm ${before}`;
  return true;
}

/** Labels of a local image; null = there is none of this name. */
export async function imageLabels(tag: string, signal: AbortSignal): Promise<Readonly<Record<string, string>> | null> {
  const found = await run({ signal })`docker image inspect --format ${"{{json .Config.Labels}}"} ${tag}`;
  signal.throwIfAborted();
  if (found.exitCode !== 0) return null;
  return (JSON.parse(found.stdout) as Record<string, string> | null) ?? {};
}

/** Over the Dockerfile and every file of `sources`, names and contents. */
async function sourceDigest({ dockerfile, context, sources }: ImageBuild): Promise<string> {
  const hash = createHash("sha256");
  const files = new Set<string>();
  for (const source of sources) {
    const path = join(context, source);
    if ((await stat(path)).isFile()) files.add(path);
    else
      for await (const entry of glob("**/*", { cwd: path, withFileTypes: true, exclude: ["**/node_modules"] }))
        if (entry.isFile()) files.add(join(entry.parentPath, entry.name));
  }
  hash.update(await readFile(dockerfile));
  for (const file of [...files].sort()) {
    hash.update(`\0${relative(context, file)}\0`);
    hash.update(await readFile(file));
  }
  return hash.digest("hex").slice(0, 32);
}

const tail = (text: string): string => text.trim().split("\n").slice(-12).join("\n");
