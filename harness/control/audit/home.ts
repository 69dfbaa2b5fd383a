import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { databaseAnchor, fileAnchor } from "./anchors.ts";
import type { AuditOptions } from "./types.ts";

/** Where a control plane keeps what only it may touch. Each is a folder of its own, so that each can be mounted alone. */
export interface ControlHome {
  readonly audit: string;
  readonly auditKey: string;
  readonly auditAnchor: string;
  /** Of the command queue. */
  readonly queue: string;
}

/**
 * Of the deployment on this machine: STATE_DIR, else `compose-agent` in the user's state folder (XDG). A neutral path,
 * since a container mounts it and sees where it lies.
 */
export function defaultStateDir(env: Readonly<Record<string, string | undefined>>): string {
  const said = (name: string): string | undefined => env[name] || undefined;
  const state = said("XDG_STATE_HOME") ?? join(said("HOME") ?? homedir(), ".local", "state");
  return resolve(said("STATE_DIR") ?? join(state, "compose-agent"));
}

export function controlHome(folder: string): ControlHome {
  return {
    audit: join(folder, "audit"),
    auditKey: join(folder, "audit-key"),
    auditAnchor: join(folder, "audit-anchor"),
    queue: join(folder, "queue"),
  };
}

/**
 * How one writer's chain lies in a control home: its head is anchored in a file and, for the compose-agent, in a
 * database beside its queue. Dispose it after the trail.
 */
export function auditIn(home: ControlHome, writer: string): AuditOptions & Disposable {
  const database = databaseAnchor(join(home.queue, "audit-anchor.db"));
  return {
    writer,
    folder: home.audit,
    keyFolder: home.auditKey,
    anchors: [fileAnchor(join(home.auditAnchor, `${writer}${HEAD}`)), database],
    [Symbol.dispose]: () => database[Symbol.dispose](),
  };
}

/** Writers that have a chain here, or had one: an anchor outlives a chain that was removed. */
export function auditWriters({ audit, auditAnchor }: ControlHome): readonly string[] {
  const chains = entriesOf(audit).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  const anchored = entriesOf(auditAnchor).flatMap(({ name }) =>
    name.endsWith(HEAD) ? [name.slice(0, -HEAD.length)] : [],
  );
  return [...new Set([...chains, ...anchored])].sort();
}

const HEAD = ".head";
const entriesOf = (folder: string) => (existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []);
