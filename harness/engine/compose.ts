export interface ComposeOptions {
  readonly file: string;
  readonly project: string;
  /** Variables of the compose file; the process's own environment is passed on below them. */
  readonly env?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
}

/** `docker compose` or `docker-compose`, whichever is there. */
export interface Compose {
  /** Creates and starts (these services, or all of the profiles). Does not wait for health. */
  up(options: { readonly services?: readonly string[]; readonly build?: boolean }, signal: AbortSignal): Promise<void>;
  /** Stops and removes containers and networks of the project; with `volumes` its volumes too. Idempotent. */
  down(options: { readonly volumes?: boolean; readonly timeoutMs?: number }, signal: AbortSignal): Promise<void>;
  /** Stops and removes these services' containers alone. */
  remove(services: readonly string[], signal: AbortSignal): Promise<void>;
}

/** @throws HarnessError `engine-unreachable` when neither `docker compose` nor `docker-compose` is installed. */
export async function openCompose(_options: ComposeOptions, _signal: AbortSignal): Promise<Compose> {
  return Promise.reject(new Error("not implemented"));
}
