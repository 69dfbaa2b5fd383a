import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { z } from "zod";
import { EngineError, errorText, HarnessError } from "../base/errors.ts";
import { noEngine } from "./no-engine.ts";

const DEFAULT_SOCKET = "/var/run/docker.sock";

/**
 * The engine that the `docker` command would talk to: DOCKER_HOST, else the CLI's current context, else the usual
 * socket. Opens no connection yet.
 */
export async function dockerClient(env: Readonly<Record<string, string | undefined>> = process.env): Promise<Docker> {
  if ((env["DOCKER_HOST"] ?? "") !== "") return new Docker();
  const host = await contextHost(env);
  if (host === null) return new Docker({ socketPath: DEFAULT_SOCKET });
  if (host.startsWith("unix://")) return new Docker({ socketPath: host.slice("unix://".length) });
  const url = new URL(host);
  return new Docker({ host: `http://${url.hostname}`, port: url.port });
}

const cliConfig = z.object({ currentContext: z.string().optional() });
const contextMeta = z.object({ Endpoints: z.object({ docker: z.object({ Host: z.string() }) }) });

/** Docker Desktop, colima and rootless engines are reached through a context; null = the default one. */
async function contextHost(env: Readonly<Record<string, string | undefined>>): Promise<string | null> {
  const folder = env["DOCKER_CONFIG"] ?? join(homedir(), ".docker");
  try {
    const config = cliConfig.parse(JSON.parse(await readFile(join(folder, "config.json"), "utf8")));
    const name = env["DOCKER_CONTEXT"] ?? config.currentContext ?? "default";
    if (name === "default") return null;
    const id = createHash("sha256").update(name).digest("hex");
    const meta = await readFile(join(folder, "contexts", "meta", id, "meta.json"), "utf8");
    return contextMeta.parse(JSON.parse(meta)).Endpoints.docker.Host;
  } catch {
    return null;
  }
}

/** @throws EngineError `engine-unreachable`, `engine-permission`: says what to do. */
export async function pingDocker(docker: Docker, signal: AbortSignal): Promise<void> {
  try {
    // The types of dockerode do not know that it takes a signal, as every request does.
    await docker.ping({ abortSignal: signal } as never);
  } catch (error) {
    throw dockerError(error, "asking Docker", signal);
  }
}

/** What dockerode throws: an HTTP status of the engine, or a socket's error code. */
interface DockerFailure {
  readonly statusCode?: number;
  readonly code?: string;
  readonly json?: { readonly message?: string };
}

export const statusOf = (error: unknown): number | null => (error as DockerFailure).statusCode ?? null;

/**
 * Turns what dockerode threw into an EngineError that says what to do. An abort stays what its aborter gave as reason.
 */
export function dockerError(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof HarnessError) return error;
  const { code, statusCode, json } = error as DockerFailure;
  const said = (json?.message ?? errorText(error)).trim();
  const details = { what, statusCode: statusCode ?? null };
  if (code !== undefined && statusCode === undefined) return noEngine(code, { details, cause: error });
  if (statusCode === 404 && /no such image/i.test(said))
    return new EngineError("image-missing", `${what}: ${said}: pull or build it first`, { details, cause: error });
  if (statusCode === 404) return new EngineError("not-found", `${what}: ${said}`, { details, cause: error });
  if (statusCode === 409) return new EngineError("wrong-state", `${what}: ${said}`, { details, cause: error });
  return new EngineError("engine-failed", `${what}: ${said}`, { details, cause: error });
}
