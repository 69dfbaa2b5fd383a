import { defineConfig } from "vitest/config";

/** @param atOnce how many files; without it as many as there are processors. */
const project = (name: string, testTimeout: number, atOnce?: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: testTimeout,
    ...(atOnce === undefined ? {} : { maxWorkers: atOnce }),
  },
});

/** For what runs on real processes, in CI: test/README.md, "A second try". */
const secondTry = ({ test, ...rest }: ReturnType<typeof project>) => ({
  ...rest,
  test: { ...test, retry: process.env["CI"] === "true" ? 1 : 0 },
});

export default defineConfig({
  test: {
    projects: [
      project("unit", 5_000),
      // What is timed (timelines), and whole trials, want the machine for themselves.
      secondTry(project("contract", 60_000, 1)),
      // Half of its time it waits.
      secondTry(project("integration", 120_000, 2)),
      secondTry(project("e2e", 180_000, 1)),
    ],
  },
});
