import { defineConfig } from "vitest/config";

const project = (name: string, testTimeout: number, fileParallelism = true) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout, fileParallelism },
});

export default defineConfig({
  test: {
    projects: [
      project("unit", 5_000),
      project("contract", 60_000, false),
      project("integration", 120_000, false),
      project("e2e", 180_000, false),
    ],
  },
});
