import { expect, test } from "vitest";
import { CONTROL_VARIABLES } from "../../harness/control/settings.ts";
import { TOKEN_VARIABLE } from "../../harness/mcp/client-config.ts";
import { filesOf, textOf } from "../support/repository.ts";

/** Not settings of ours: the system's, Docker's, Node's. */
const OTHERS = [
  "HOME",
  "PATH",
  "XDG_STATE_HOME",
  "XDG_CONFIG_HOME",
  "DOCKER_HOST",
  "DOCKER_CONFIG",
  "DOCKER_CONTEXT",
  "NODE_COMPILE_CACHE",
];

/** What `lab` tells compose and the programs it starts; a person has no reason to set them. */
const OURS_ALONE = /^(INSTANCE_LABEL|EXIT_WITH_STDIN|CONFIG_DIR|WORKLOAD_(SEED|RATE|CLIENTS|KEY_PREFIX|DEADLINE_MS))$/;

function namesIn(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) => [...textOf(file).matchAll(pattern)].map(([, name = ""]) => name));
}

test(".env.example has every variable that is read, and no other", () => {
  const read = new Set([
    ...CONTROL_VARIABLES,
    TOKEN_VARIABLE,
    ...namesIn(filesOf("harness/**/*.ts"), /\benv\["([A-Z][A-Z0-9_]+)"\]/g),
    ...namesIn(["harness/engine/instances.ts"], /\bset\("([A-Z_]+)"\)/g),
    ...namesIn(
      ["harness/agent/config.ts", "harness/control/compose-agent-config.ts"],
      /^ {2}"?[a-z-]+"?: "([A-Z_]+)",$/gm,
    ),
    ...namesIn(["harness/panel/config.ts"], /^ {2}([A-Z][A-Z_]+): /gm),
    ...namesIn(filesOf("{docker,subjects}/**/docker-compose.{yml,yaml}"), /\$\{([A-Z0-9_]+)/g),
  ]);
  const settings = [...read].filter((name) => !OTHERS.includes(name) && !OURS_ALONE.test(name));
  const shown = [...textOf(".env.example").matchAll(/^# ([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name ?? "");
  expect(shown.toSorted()).toEqual(settings.toSorted());
});
