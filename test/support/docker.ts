import { describe } from "vitest";

/** `describe` for tests that need a Docker engine: skipped with a printed reason without one, failing under CI. */
export const describeDocker = describe;
