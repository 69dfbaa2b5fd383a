import { existsSync, readFileSync } from "node:fs";
import { ConfigError } from "../../../../../harness/base/errors.ts";
import { replaceFile } from "../replace-file.ts";
import { HIDDEN } from "./defaults.ts";
import { ONLINE } from "./online.ts";
import { durationMs, sizeBytes } from "./readable.ts";
import {
  isTable,
  itemAt,
  items,
  kindOf,
  mergedConfig,
  parseConfig,
  parsedText,
  withItem,
  type ConfigTree,
} from "./tree.ts";
import { withTomlItems } from "./toml-writer.ts";
import { invalidConfig } from "./validate.ts";

/** A change that was refused; the message is what TiKV says. */
export class ConfigRefused extends ConfigError {}

/** The change is in force, but could not be written to the file. */
export class ConfigNotPersisted extends ConfigError {}

/** The configuration in force: read by whoever acts on an item, changed through the status port. */
export class ConfigController {
  /** The file that changes are written to, and `reload` reads. */
  readonly path: string;
  #current: ConfigTree;
  readonly #numbers = new Map<string, number>();
  readonly #listeners: ((changed: readonly string[]) => void)[] = [];

  constructor(current: ConfigTree, path: string) {
    this.#current = current;
    this.path = path;
  }

  get current(): ConfigTree {
    return this.#current;
  }

  /** Without what TiKV's documentation does not list. */
  get documented(): ConfigTree {
    let shown: ConfigTree = {};
    for (const [path, value] of items(this.#current)) if (!HIDDEN.has(path)) shown = withItem(shown, path, value);
    return shown;
  }

  /** Milliseconds. */
  duration(path: string): number {
    return this.#numbers.get(path) ?? this.#keep(path, durationMs(String(itemAt(this.#current, path))) ?? 0);
  }

  bytes(path: string): number {
    return this.#numbers.get(path) ?? this.#keep(path, sizeBytes(String(itemAt(this.#current, path))) ?? 0);
  }

  number(path: string): number {
    return Number(itemAt(this.#current, path));
  }

  text(path: string): string {
    return String(itemAt(this.#current, path) ?? "");
  }

  /** Called after every change with the items that differ. */
  onChange(listener: (changed: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * All items or none.
   * @param change dotted path -> text, `_` as good as `-`
   * @throws ConfigRefused; ConfigNotPersisted
   */
  update(change: Readonly<Record<string, string>>, persist: boolean): void {
    let next = this.#current;
    const toml: Record<string, string> = {};
    for (const [name, text] of Object.entries(change)) {
      const path = name.replaceAll("_", "-");
      const kind = this.#changeable(path);
      const parsed = parsedText(kind, text);
      if (parsed === null) throw new ConfigRefused(`failed to parse: ${text}`);
      next = withItem(next, path, parsed.value);
      toml[path] = ["size", "duration", "text", "level"].includes(kind) ? JSON.stringify(text) : text;
    }
    this.#become(next);
    if (!persist) return;
    try {
      const before = existsSync(this.path) ? readFileSync(this.path, "utf8") : "";
      replaceFile(this.path, withTomlItems(before, toml));
    } catch (cause) {
      throw new ConfigNotPersisted(osError(cause), { cause });
    }
  }

  /** Takes from the file what may change while running; the rest waits for a restart. @throws ConfigRefused */
  reload(): void {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (cause) {
      throw new ConfigRefused(osError(cause), { cause });
    }
    let next = this.#current;
    for (const [path, value] of items(parseConfig(text).tree)) if (ONLINE.has(path)) next = withItem(next, path, value);
    this.#become(next);
  }

  #changeable(path: string): ReturnType<typeof kindOf> {
    let at: unknown = this.#current;
    for (const [depth, field] of path.split(".").entries()) {
      const inner = path.split(".").slice(depth).join(".");
      if (!isTable(at)) throw new ConfigRefused(`unexpect fields: ${snake(inner)}`);
      if (!(field in at)) throw new ConfigRefused(`unexpect fields: ${snake(field)}`);
      at = at[field];
    }
    if (!ONLINE.has(path)) throw new ConfigRefused(`config ${snake(path.split(".").at(-1) ?? "")} can not be changed`);
    return kindOf(path);
  }

  /** Some are asked for with every write. */
  #keep(path: string, value: number): number {
    this.#numbers.set(path, value);
    return value;
  }

  #become(next: ConfigTree): void {
    const why = invalidConfig(next);
    if (why !== null) throw new ConfigRefused(why);
    const changed = [...items(next)].flatMap(([path, value]) => (itemAt(this.#current, path) === value ? [] : [path]));
    this.#current = mergedConfig(this.#current, next);
    this.#numbers.clear();
    if (changed.length > 0) for (const listener of this.#listeners) listener(changed);
  }
}

function snake(name: string): string {
  return name.replaceAll("-", "_");
}

/** As Rust prints an error of the system. */
function osError(error: unknown): string {
  const { errno = 0, code = "", message } = error as NodeJS.ErrnoException;
  const [kind, text] = OS_ERRORS[code] ?? ["Other", message];
  return `Os { code: ${Math.abs(errno)}, kind: ${kind}, message: ${JSON.stringify(text)} }`;
}

const OS_ERRORS: Readonly<Record<string, readonly [kind: string, text: string]>> = {
  ENOENT: ["NotFound", "No such file or directory"],
  EACCES: ["PermissionDenied", "Permission denied"],
  EPERM: ["PermissionDenied", "Operation not permitted"],
  EROFS: ["ReadOnlyFilesystem", "Read-only file system"],
  ENOSPC: ["StorageFull", "No space left on device"],
  EBUSY: ["ResourceBusy", "Device or resource busy"],
};
