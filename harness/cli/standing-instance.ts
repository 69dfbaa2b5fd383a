import { instanceIds, instancePaths, readInstance, stateRoot, type InstanceRecord } from "../engine/instances.ts";
import type { SubjectInstance } from "../protocol.ts";
import type { CliIo } from "./io.ts";

/** The instance that `lab subject up` started and left running, or null. */
export function standingInstance(io: Pick<CliIo, "env">): InstanceRecord | null {
  const root = stateRoot(io.env);
  const records = instanceIds(root).map((id) => readInstance(instancePaths(root, id).dir));
  return records.find((record) => record?.subject === "tikv" && record.detached) ?? null;
}

/** Aborts as soon as the instance is being taken down, or its folder is gone. Disposing it ends the looking. */
export function takenDown({ id }: InstanceRecord, { env, deps }: Pick<CliIo, "env" | "deps">): Looking {
  const { dir } = instancePaths(stateRoot(env), id);
  const [down, ended] = [new AbortController(), new AbortController()];
  const looking = (async () => {
    for (let record = readInstance(dir); record !== null && record.leaving !== true; record = readInstance(dir))
      await deps.clock.sleep(LOOK_EVERY_MS, ended.signal);
    down.abort();
  })();
  // Disposed of; or a record that nobody can read, of which `lab subject` speaks.
  looking.catch(() => {});
  return { signal: down.signal, [Symbol.dispose]: () => ended.abort() };
}

interface Looking extends Disposable {
  readonly signal: AbortSignal;
}

/** Sooner than a monitor's grace, so that no ticket is opened about what goes on purpose. */
const LOOK_EVERY_MS = 200;

export interface Detachable extends SubjectInstance {
  detach(signal: AbortSignal): Promise<void>;
  tearDown(): Promise<void>;
}

/** Disposing it lets go; it goes on running. @throws HarnessError `not-found`, `engine-unreachable` */
export async function openStanding(record: InstanceRecord, io: CliIo): Promise<Detachable> {
  const { dir } = instancePaths(stateRoot(io.env), record.id);
  if (record.kind === "process") {
    const { bootEmbeddedFrom } = await import("../../subjects/tikv/adapter-process.ts");
    return await bootEmbeddedFrom(dir, io.deps, io.signal);
  }
  const { bootDockerFrom } = await import("../../subjects/tikv/adapter-docker.ts");
  return await bootDockerFrom(dir, io.deps, io.signal);
}
