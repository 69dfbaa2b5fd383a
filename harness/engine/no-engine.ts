import { EngineError } from "../base/errors.ts";

const ANOTHER = "or set DOCKER_HOST to another engine; what takes `--engine process` needs none";

/** One sentence for an engine that cannot be used. @param said what the client said: an errno, or its output. */
export function noEngine(said: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
  if (/\b(EACCES|EPERM)\b|permission ?(denied|error)/i.test(said))
    return new EngineError(
      "engine-permission",
      "no permission to talk to the Docker engine: add yourself to the group docker " +
        "(`sudo usermod -aG docker $USER`, then log in again), or set DOCKER_HOST to an engine that is yours",
      options,
    );
  // A shell's words for a program that is not there, at its own exit.
  if (/command not found|docker: not found/i.test(said))
    return new EngineError(
      "engine-unreachable",
      `the program \`docker\` is not here: install Docker (docs.docker.com/engine/install), ${ANOTHER}`,
      options,
    );
  const code = /^E[A-Z]+$/.test(said) ? ` (${said})` : "";
  return new EngineError(
    "engine-unreachable",
    `no Docker engine answers${code}: start Docker Desktop or \`sudo systemctl start docker\`, ${ANOTHER}`,
    options,
  );
}
