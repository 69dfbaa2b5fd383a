import { renameSync, writeFileSync } from "node:fs";
import type { LinkRules } from "./spec.ts";

/**
 * Which components nothing passes to, for the link layer of the nodes (`subjects/common/link`), which follows the file.
 * A component that was disconnected (any operator may reconnect it) and one that was cut (only the owner mends it) are
 * held alike, but kept apart here: reconnecting does not mend.
 */
export class Links {
  readonly #file: string;
  readonly #disconnected = new Set<string>();
  readonly #cuts = new Map<string, readonly string[] | null>();

  constructor(file: string) {
    this.#file = file;
    this.#save();
  }

  isConnected(component: string): boolean {
    return !this.#disconnected.has(component);
  }

  /** @returns whether that changed anything. */
  setConnected(component: string, connected: boolean): boolean {
    if (this.isConnected(component) === connected) return false;
    if (connected) this.#disconnected.delete(component);
    else this.#disconnected.add(component);
    this.#save();
    return true;
  }

  /** Adds to the cuts that the component has already. */
  cut(component: string, peers: readonly string[] | null): void {
    const before = this.#cuts.get(component);
    const everyone = peers === null || before === null;
    this.#cuts.set(component, everyone ? null : [...new Set([...(before ?? []), ...peers])]);
    this.#save();
  }

  mend(component: string): void {
    if (this.#cuts.delete(component)) this.#save();
  }

  #save(): void {
    const rules: LinkRules = {
      version: 1,
      rules: [
        ...[...this.#disconnected].map((component) => ({ component, peers: null })),
        ...[...this.#cuts].map(([component, peers]) => ({ component, peers })),
      ],
    };
    // Replaced as a whole: a reader never sees half a file.
    const next = `${this.#file}.next`;
    writeFileSync(next, JSON.stringify(rules), { mode: 0o600 });
    renameSync(next, this.#file);
  }
}
