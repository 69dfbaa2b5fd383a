import { defineConfig, type OxlintOverride } from "oxlint";

/**
 * Who may import whom (the table of CONTRIBUTING.md, in code). Keys are folders, values the modules that their
 * files may import besides their own folder, `harness/base` and the types of `harness/protocol.ts`.
 *
 * The row of `harness/agent` is part of the blinding: an image that cannot contain the answers cannot leak them.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "harness/base": [],
  "harness/engine": [],
  "harness/faults": ["engine"],
  "harness/monitor": ["tickets"],
  "harness/agent": ["engine", "tickets", "subjects", "control"],
  "harness/control": ["engine", "tickets"],
  "harness/mcp": ["agent", "tickets", "control"],
  "harness/panel": ["control"],
  "harness/checkers": ["stats"],
  "harness/stats": [],
  "harness/store": [],
  "harness/trial": ["engine", "faults", "monitor", "checkers", "stats", "store", "tickets", "control", "panel"],
  "harness/view": ["store"],
  scenarios: [],
  subjects: ["engine", "subjects"],
  "subjects/*/kit": ["subjects"],
  tickets: [],
};

const MODULES =
  "engine faults monitor agent control mcp panel checkers stats store trial view cli scenarios subjects tickets test bench".split(
    " ",
  );

/** What no program that the operator runs may reach, wherever it lies below a subject. */
const ANSWERS = ["stand-in", "faults", "invariants", "workload"].flatMap((part) => [
  `../${part}/**`,
  `../**/${part}/**`,
]);

const DOCKERODE = {
  name: "dockerode",
  allowTypeImports: true,
  message: "only harness/engine/docker*.ts talks to Docker",
};

function restrictedImports(folder: string, may: readonly string[]): OxlintOverride {
  const own = folder.split("/").at(-1);
  const denied = MODULES.filter((module) => !may.includes(module) && module !== own);
  // Only what leads out of the folder: `./control/quiet.ts` is the folder's own.
  const group = denied.flatMap((module) => [`../${module}/**`, `../**/${module}/**`]);
  const blind = folder === "harness/agent" || folder.endsWith("/kit");
  const patterns = [{ group: blind ? [...group, ...ANSWERS] : group, message: `${folder} may not import this` }];
  return {
    files: [`${folder}/**/*.ts`],
    rules: { "no-restricted-imports": ["error", { paths: [DOCKERODE], patterns }] },
  };
}

/** Time and chance come in as `Clock` and `Random`; only the programs' own ends and tests touch the real ones. */
const REAL_TIME = ["setTimeout", "setInterval"].map((name) => ({
  name,
  message: "wait with the Clock that you were given",
}));
const REAL_VALUES = [
  { object: "Date", property: "now", message: "ask the Clock that you were given" },
  { object: "performance", property: "now", message: "ask the Clock that you were given" },
  { object: "Math", property: "random", message: "draw from the Random that you were given" },
];

export default defineConfig({
  plugins: ["typescript", "import", "unicorn", "oxc", "node"],
  categories: { correctness: "error", suspicious: "off" },
  options: { typeAware: true },
  ignorePatterns: ["dist", "node_modules", ".toolchain", "runs", "test/lint-samples"],
  rules: {
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": ["error", { checksVoidReturn: false }],
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    // Several libraries' types hide that a call returns a promise; the harm is in the other direction.
    "typescript/await-thenable": "off",
    "no-control-regex": "off",
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    // Interfaces with methods are passed and taken apart everywhere here, and none of ours needs `this`.
    "typescript/unbound-method": "off",
    "typescript/restrict-template-expressions": "off",
    "typescript/no-base-to-string": "off",
    "typescript/no-misused-spread": "off",
    "typescript/require-array-sort-compare": "off",
    "typescript/no-meaningless-void-operator": "off",
    // A copy is what one iterates over when the original changes meanwhile.
    "unicorn/no-useless-spread": "off",
    "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreUsingDeclarations: true }],
    "import/no-cycle": "error",
    "import/no-default-export": "error",
    "no-console": "error",
    "no-restricted-globals": ["error", ...REAL_TIME],
    "no-restricted-properties": ["error", ...REAL_VALUES],
    "no-restricted-imports": ["error", { paths: [DOCKERODE] }],
  },
  overrides: [
    ...Object.entries(MAY_IMPORT).map(([folder, may]) => restrictedImports(folder, may)),
    { files: ["harness/engine/docker*.ts"], rules: { "no-restricted-imports": "off" } },
    {
      files: ["harness/base/**", "test/**", "bench/**", "bin/**", "docker/**"],
      rules: { "no-restricted-globals": "off", "no-restricted-properties": "off", "no-console": "off" },
    },
    {
      files: ["test/**"],
      rules: {
        "typescript/no-non-null-assertion": "off",
        "typescript/no-explicit-any": "off",
        "no-restricted-imports": "off",
      },
    },
    // What browsers run: they have no clock to be handed.
    {
      files: ["harness/panel/web/*.js"],
      rules: { "no-restricted-globals": "off", "no-restricted-properties": "off" },
    },
    { files: ["*.config.ts", "test/support/tally-reporter.ts"], rules: { "import/no-default-export": "off" } },
  ],
});
