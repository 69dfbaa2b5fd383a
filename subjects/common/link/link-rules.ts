import { readFileSync, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock } from "../../../harness/base/clock.ts";
import { errorText } from "../../../harness/base/errors.ts";
import type { Log } from "../../../harness/base/log.ts";

/** Between whom nothing passes at the moment, as seen by one node. */
export interface LinkRules extends Disposable {
  /** This node's name, as rules and hellos use it. */
  readonly self: string;
  /** Whether nothing may pass between this node and `peer` now; null = a client, or a peer that has not said hello. */
  holds(peer: string | null): boolean;
  /** Calls `listener` after every change of the rules until the returned function is called. */
  onChange(listener: () => void): () => void;
  /** The name of the node that advertises this `host:port`; null when it is none. */
  nameOf(address: string): string | null;
}

/** Nothing passes between `component` and `peers`; null = and anybody. */
interface Rule {
  readonly component: string;
  readonly peers: readonly string[] | null;
}

/** A watch can miss a change (network file systems, a folder that was replaced); this bounds how long. */
const POLL_MS = 200;

/**
 * Rules of the file that `LINK_RULES` names, followed from now on, and the address book `NODE_MAP` (JSON: advertised
 * address -> name). Without `LINK_RULES` nothing is ever held. `self` names this node.
 *
 * @throws SyntaxError, TypeError when `NODE_MAP` is not such a map.
 */
export function openLinkRules(
  env: Readonly<Record<string, string | undefined>>,
  options: { readonly self: string; readonly clock: Clock; readonly log: Log },
): LinkRules {
  const names = namesIn(env);
  const file = env["LINK_RULES"];
  return file === undefined || file === ""
    ? new FileLinkRules({ ...options, names, file: null })
    : new FileLinkRules({ ...options, names, file });
}

/** Holds nothing and knows nobody: for tests and for servers that no rule can name. */
export function noLinkRules(self = ""): LinkRules {
  return { self, holds: () => false, onChange: () => () => {}, nameOf: () => null, [Symbol.dispose]: () => {} };
}

/** The name in `NODE_MAP` of what advertises this address, or null. */
export function nodeName(env: Readonly<Record<string, string | undefined>>, address: string): string | null {
  return namesIn(env)[address] ?? null;
}

class FileLinkRules implements LinkRules {
  readonly self: string;
  readonly #names: Readonly<Record<string, string>>;
  readonly #log: Log;
  readonly #listeners = new Set<() => void>();
  readonly #stopped = new AbortController();
  #rules: readonly Rule[] = [];
  #version = "";

  constructor(options: {
    self: string;
    clock: Clock;
    log: Log;
    names: Readonly<Record<string, string>>;
    file: string | null;
  }) {
    this.self = options.self;
    this.#names = options.names;
    this.#log = options.log;
    if (options.file === null) return;
    this.#load(options.file);
    this.#follow(options.file, options.clock);
  }

  holds(peer: string | null): boolean {
    return this.#rules.some(
      ({ component, peers }) =>
        (component === this.self && (peers === null || (peer !== null && peers.includes(peer)))) ||
        (component === peer && (peers === null || peers.includes(this.self))),
    );
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  nameOf(address: string): string | null {
    return this.#names[address] ?? null;
  }

  [Symbol.dispose](): void {
    this.#stopped.abort();
  }

  #follow(file: string, clock: Clock): void {
    const { signal } = this.#stopped;
    try {
      // The folder, not the file: the file is replaced, and a watch would stay with the old one.
      const watcher = watch(dirname(file), { persistent: false, signal }, (_, name) => {
        if (name === null || name === basename(file)) this.#load(file);
      });
      watcher.on("error", () => watcher.close());
    } catch (error) {
      this.#log.warn("rules are only polled", { error: errorText(error) });
    }
    const poll = async () => {
      while (!signal.aborted) {
        await clock.sleep(POLL_MS, signal);
        this.#load(file);
      }
    };
    poll().catch((error: unknown) => {
      if (!signal.aborted) this.#log.error("rules are no longer followed", { error: errorText(error) });
    });
  }

  /** Keeps the rules it has when the file cannot be read as rules. */
  #load(file: string): void {
    try {
      const found = statSync(file, { throwIfNoEntry: false });
      const version = found === undefined ? "" : `${found.ino}/${found.mtimeMs}/${found.size}`;
      if (version === this.#version) return;
      this.#rules = found === undefined ? [] : parseRules(readFileSync(file, "utf8"));
      this.#version = version;
    } catch (error) {
      this.#log.warn("rules cannot be read", { error: errorText(error) });
      return;
    }
    for (const listener of [...this.#listeners]) listener();
  }
}

// Checked by hand: both come from our own supervisor, and zod would cost every node 5 MB and 50 ms of its start.

/** @throws TypeError when `NODE_MAP` is not a map of addresses to names. */
function namesIn(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const map: unknown = JSON.parse(env["NODE_MAP"] ?? "{}");
  if (typeof map !== "object" || map === null || !Object.values(map).every(isText))
    throw new TypeError("NODE_MAP is not a map of addresses to names");
  return map as Readonly<Record<string, string>>;
}

/** @throws TypeError when the text holds no rules. */
function parseRules(text: string): readonly Rule[] {
  const { version, rules } = JSON.parse(text) as { readonly version?: unknown; readonly rules?: unknown };
  if (version !== 1 || !Array.isArray(rules) || !rules.every(isRule)) throw new TypeError("these are no rules");
  return rules;
}

function isRule(value: unknown): value is Rule {
  const { component, peers } = (value ?? {}) as { readonly component?: unknown; readonly peers?: unknown };
  return isText(component) && (peers === null || (Array.isArray(peers) && peers.every(isText)));
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
