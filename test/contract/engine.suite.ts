import type { Component, OwnerEngine } from "../../harness/protocol.ts";

/**
 * What the containers of the suite do. Every implementation starts exactly these four, in a fresh instance:
 *
 * - `steady`: prints `ready` on stdout and `careful` on stderr at each start, stays up, exits 0 on SIGTERM;
 *   restart policy `unless-stopped`.
 * - `other`: as `steady`; nothing that is done to `steady` may show here.
 * - `stubborn`: prints `ready`, ignores SIGTERM; restart policy `no`; stop grace 1 s.
 * - `flaky`: *created, not started*; exits 3 about 100 ms after each start; restart policy `on-failure`, at most 2.
 */
export const SUITE_COMPONENTS = ["steady", "other", "stubborn", "flaky"] as const;

export interface EngineUnderTest extends AsyncDisposable {
  readonly engine: OwnerEngine;
  /** An argv that the engine accepts in `steady` and that prints `text` (one word) on stdout and exits 0. */
  echo(text: string): readonly string[];
  /** An argv that it accepts and that exits with `code`, printing nothing. */
  exitWith(code: number): readonly string[];
  /** An argv that it accepts and that runs until it is ended. */
  hang(): readonly string[];
}

export interface EngineSuite {
  readonly name: string;
  setUp(signal: AbortSignal): Promise<EngineUnderTest>;
  /** Methods that this engine refuses with `not-supported`; the suite checks that it does. */
  readonly refuses: readonly ("update-cpus" | "update-memory" | "recreate-image" | "crash" | "cut")[];
}

export type SuiteComponent = Component & (typeof SUITE_COMPONENTS)[number];
