import { $ } from "zx";
import { HarnessError, type ErrorCode } from "../base/errors.ts";
import { noEngine } from "./no-engine.ts";

export interface ComposeOptions {
  /** Absolute. */
  readonly file: string;
  readonly project: string;
  /** Variables of the compose file; the process's own environment is passed on below them. */
  readonly env?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
}

/** One project of one compose file. Every method throws HarnessError saying what is missing and what to do. */
export interface Compose {
  /** Creates and starts (these services, or all of the profiles). Does not wait for health. */
  up(
    options: {
      readonly services?: readonly string[];
      readonly build?: boolean;
      /** These services alone: what they depend on is neither started nor brought up to date. */
      readonly noDeps?: boolean;
    },
    signal: AbortSignal,
  ): Promise<void>;
  /** Creates without starting. */
  create(services: readonly string[], signal: AbortSignal): Promise<void>;
  /** Stops and removes containers and networks of the project; with `volumes` its volumes too. Idempotent. */
  down(options: { readonly volumes?: boolean; readonly timeoutMs?: number }, signal: AbortSignal): Promise<void>;
  /** Stops and removes these services' containers alone. */
  remove(services: readonly string[], signal: AbortSignal): Promise<void>;
}

/**
 * `docker compose` or `docker-compose`, whichever is there.
 *
 * @throws HarnessError `engine-unreachable` when neither is.
 */
export async function openCompose(options: ComposeOptions, signal: AbortSignal): Promise<Compose> {
  const command = await composeCommand(signal);
  const { file, project, profiles = [] } = options;
  // Profiles and the project are given as flags, which both versions know; v1 rejects a top-level `name:`.
  const global = [...command, "-f", file, "-p", project, ...profiles.flatMap((profile) => ["--profile", profile])];
  const run = async (args: readonly string[], within: AbortSignal): Promise<void> => {
    const env = { ...process.env, ...options.env };
    const done = await $({ quiet: true, nothrow: true, env, signal: within, stdio: ["ignore", "pipe", "pipe"] })`${[
      ...global,
      ...args,
    ]}`;
    within.throwIfAborted();
    if (done.exitCode !== 0) throw composeError(args[0] ?? "", done.stderr || done.stdout);
  };
  return {
    up: ({ services = [], build = false, noDeps = false }, within) =>
      run(
        ["up", "-d", ...(build ? ["--build"] : ["--no-build"]), ...(noDeps ? ["--no-deps"] : []), ...services],
        within,
      ),
    create: (services, within) => run(["up", "--no-start", "--no-build", ...services], within),
    down: ({ volumes = false, timeoutMs }, within) =>
      run(
        [
          "down",
          "--remove-orphans",
          ...(volumes ? ["-v"] : []),
          ...(timeoutMs === undefined ? [] : ["-t", String(Math.ceil(timeoutMs / 1000))]),
        ],
        within,
      ),
    remove: (services, within) => run(["rm", "--stop", "--force", "-v", ...services], within),
  };
}

async function composeCommand(signal: AbortSignal): Promise<readonly string[]> {
  const works = async (command: readonly string[]) =>
    (await $({ quiet: true, nothrow: true, signal })`${[...command, "version"]}`).exitCode === 0;
  if (await works(["docker", "compose"])) return ["docker", "compose"];
  if (await works(["docker-compose"])) return ["docker-compose"];
  signal.throwIfAborted();
  throw new HarnessError(
    "engine-unreachable",
    "neither `docker compose` nor `docker-compose` is here: install Docker Compose (docs.docker.com/compose/install); " +
      "what takes `--engine process` needs none",
  );
}

/** What compose says, v1 and v2, and what a person can do about it. */
const KNOWN: readonly { readonly pattern: RegExp; readonly code: ErrorCode; say(match: RegExpExecArray): string }[] = [
  {
    pattern: /(?:network (\S+) declared as external, but could not be found|Network (\S+) declared as external)/,
    code: "network-missing",
    say: ([, v2, v1]) => `network ${v2 ?? v1} not found: run \`lab subject up tikv\` first`,
  },
  {
    pattern: /(?:No such image: (\S+)|pull access denied for ([^\s,]+)|manifest for (\S+) not found)/,
    code: "image-missing",
    say: ([, a, b, c]) => `image ${a ?? b ?? c} is not here and cannot be pulled: build it, or name another one`,
  },
  {
    pattern: /Get "https:\/\/[^"]*\/v2\/[^"]*".*/,
    code: "image-missing",
    say: ({ input }) => {
      const named = [...input.matchAll(/^Pulling \S+ \((\S+)\)/gm)].at(-1)?.[1];
      return `${named ?? "an image"} is not here and its registry cannot be reached: \`docker pull\` it where it can, build it, or name another one`;
    },
  },
  {
    pattern: /(?:Bind for \S*?:(\d+) failed|listen tcp[46]? \S*?:(\d+): bind: address already in use)/,
    code: "port-taken",
    say: ([, a, b]) => `port ${a ?? b} is taken: set another one (see .env.example), or leave the variable empty`,
  },
];

const NO_ENGINE =
  /Couldn't connect to Docker daemon|Cannot connect to the Docker daemon|Error while fetching server API|permission denied while trying to connect/;

function composeError(what: string, output: string): HarnessError {
  if (NO_ENGINE.test(output)) return noEngine(output, { details: { output: tail(output) } });
  for (const { pattern, code, say } of KNOWN) {
    const match = pattern.exec(output);
    if (match !== null) return new HarnessError(code, say(match), { details: { output: tail(output) } });
  }
  return new HarnessError("engine-failed", `docker compose ${what} failed:\n${tail(output)}`);
}

const tail = (text: string): string => text.trim().split("\n").slice(-8).join("\n");
