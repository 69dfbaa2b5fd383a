/** One at a time for each key, first come first served. */
export class KeyedLock {
  readonly #lines = new Map<string, Set<() => void>>();
  /** Called when a key has become free and nobody waits for it. */
  onFree: () => void = () => {};

  /** Keys that somebody has now. */
  get held(): readonly string[] {
    return [...this.#lines.keys()];
  }

  isHeld(key: string): boolean {
    return this.#lines.has(key);
  }

  /** The key if nobody has it. */
  tryAcquire(key: string): Disposable | null {
    if (this.#lines.has(key)) return null;
    this.#lines.set(key, new Set());
    return this.#lock(key);
  }

  /** Waits for the key. @throws the signal's reason. */
  async acquire(key: string, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const free = this.tryAcquire(key);
    const line = this.#lines.get(key);
    if (free !== null || line === undefined) return free ?? this.#lock(key);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      line.delete(resolve);
      reject(signal.reason as Error);
    };
    line.add(resolve);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return this.#lock(key);
  }

  #lock(key: string): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const line = this.#lines.get(key);
        const [next] = line ?? [];
        if (next !== undefined) {
          line?.delete(next);
          return next();
        }
        this.#lines.delete(key);
        this.onFree();
      },
    };
  }
}
