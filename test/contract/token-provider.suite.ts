import { describe, expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { newToken, type TokenEntry, type TokenProvider } from "../../harness/control/tokens/index.ts";

/** One provider of the kind under test, empty, and what it takes to write past it. */
export interface ProviderScene extends AsyncDisposable {
  readonly provider: TokenProvider;
  /** Whether two who write at once are told apart. */
  readonly checksVersion: boolean;
  /** Puts this where the plane's entry is, as somebody else's program would. */
  writeRaw(data: unknown): Promise<void>;
}

const signal = new AbortController().signal;
const PLANE = "compose_agent";

const record = (token = newToken(randomIds)) => ({
  token,
  scopes: ["containers:read"],
  issuedAt: Date.UTC(2026, 0, 2) as EpochMs,
});

const entry = (): TokenEntry => ({
  current: record(),
  previous: [{ ...record(), acceptedUntil: Date.UTC(2026, 0, 3) as EpochMs }],
});

/** What every provider does. */
export function tokenProviderSuite(kind: string, open: () => Promise<ProviderScene>): void {
  describe(`tokens in ${kind}`, () => {
    test("there is none at first; what is stored comes back whole; what is removed is gone; twice is the same", async () => {
      await using scene = await open();
      const { provider } = scene;
      expect(await provider.fetch(PLANE, signal)).toBeNull();
      const stored = entry();
      await provider.store(PLANE, stored, null, signal);
      expect(await provider.fetch(PLANE, signal)).toMatchObject(stored);
      await provider.remove(PLANE, signal);
      await provider.remove(PLANE, signal);
      expect(await provider.fetch(PLANE, signal)).toBeNull();
      const again = entry();
      await provider.store(PLANE, again, null, signal);
      expect(await provider.fetch(PLANE, signal)).toMatchObject(again);
    });

    test("one plane's entry is not the other's", async () => {
      await using scene = await open();
      await scene.provider.store(PLANE, entry(), null, signal);
      expect(await scene.provider.fetch("status_panel", signal)).toBeNull();
    });

    test("a state that somebody else has changed is not overwritten, where that can be told", async () => {
      await using scene = await open();
      const { provider } = scene;
      await provider.store(PLANE, entry(), null, signal);
      const before = await provider.fetch(PLANE, signal);
      const theirs = entry();
      await provider.store(PLANE, theirs, before?.version ?? null, signal);
      if (!scene.checksVersion) return;
      await expect(provider.store(PLANE, entry(), before?.version ?? null, signal)).rejects.toMatchObject({
        reason: "changed",
      });
      await expect(provider.store(PLANE, entry(), null, signal)).rejects.toMatchObject({ reason: "changed" });
      expect(await provider.fetch(PLANE, signal)).toMatchObject(theirs);
    });

    test("an entry of somebody who knows only the token is understood", async () => {
      await using scene = await open();
      const token = newToken(randomIds);
      await scene.writeRaw({ token });
      const read = await scene.provider.fetch(PLANE, signal);
      expect(read).toMatchObject({ current: { token }, previous: null });
      expect(read?.current.scopes).toContain("containers:write");
    });

    test.each<[string, unknown, string]>([
      ["empty", { token: "" }, "weak"],
      ["short", { token: "tok-panel-1" }, "weak"],
      ["no text", { token: 42 }, "malformed"],
      ["not there", {}, "malformed"],
      ["old, with a predecessor that is none", { token: "x".repeat(40), previous: [{}] }, "malformed"],
    ])("a token that is %s is refused, and not shown", async (_, data, reason) => {
      await using scene = await open();
      // KV v1 has no empty secrets.
      await scene.writeRaw(Object.keys(data as object).length === 0 ? { other: "x" } : data);
      const read = scene.provider.fetch(PLANE, signal);
      await expect(read).rejects.toMatchObject({ reason });
      await read.catch((error: Error) => expect(error.message).not.toMatch(/tok-panel|xxxx|42/));
    });
  });
}
