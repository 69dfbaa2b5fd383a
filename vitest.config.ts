import { defineConfig } from "vitest/config";

const project = (name: string, testTimeout: number, fileParallelism = true) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout, fileParallelism },
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
      secondTry(project("contract", 60_000, false)),
      secondTry(project("integration", 120_000, false)),
      secondTry(project("e2e", 180_000, false)),
    ],
  },
});
