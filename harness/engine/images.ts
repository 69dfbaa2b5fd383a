export interface ImageBuild {
  /** e.g. `tikv-node:8.5`. */
  readonly tag: string;
  /** Absolute. */
  readonly dockerfile: string;
  /** Build context, absolute; its `.dockerignore` says what is sent. */
  readonly context: string;
  /** Paths below the context whose contents decide whether a rebuild is needed. */
  readonly sources: readonly string[];
}

/**
 * Builds an image unless one with this tag was built from the same sources.
 *
 * @returns true when it was built.
 * @throws HarnessError `image-missing` with the end of the build's output when it fails.
 */
export async function ensureImage(_build: ImageBuild, _signal: AbortSignal): Promise<boolean> {
  return Promise.reject(new Error("not implemented"));
}
