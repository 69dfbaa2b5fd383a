import { execFile, spawnSync } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { claimInstance, type OwnedInstance } from "../../harness/engine/instances.ts";
import type { Component, Deps, InstanceId } from "../../harness/protocol.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";

const signal = new AbortController().signal;
const run = promisify(execFile);
const SOURCE = path.join(import.meta.dirname, "../tools/tikv-raw-check");
const hasGo = spawnSync("go", ["version"]).status === 0;
const KEYS = 300;
const WATCH_S = 12;
const BUILD_TIMEOUT_MS = 600_000;

describe("a cluster of processes", () => {
  let root: string;
  let owned: OwnedInstance;
  let cluster: EmbeddedInstance;
  let deps: Deps;
  let endpoints: string[];

  beforeAll(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), "official-"));
    deps = { clock: systemClock, random: seededRandom(root), ids: randomIds, log: silentLog, fetch };
    owned = claimInstance(root, "o1", { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
    const options = {
      engine: "process" as const,
      id: owned.id as InstanceId,
      stateDir: owned.paths.dir,
      project: "tikv-o1",
      network: "tikv-o1",
      timeFactor: 0.2,
    };
    cluster = await deployEmbedded(options, deps, signal);
    await cluster.waitReady({ timeoutMs: 60_000 }, signal);
    const all = cluster.endpoints("host").byComponent;
    endpoints = ["pd0", "pd1", "pd2"].map((name) => new URL(all[name]?.["client"] ?? "").host);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    owned?.[Symbol.dispose]();
    await rm(root, { recursive: true, force: true });
  });

  describe.skipIf(!hasGo)("passes the check of TiKV's official Go client (needs go)", () => {
    let program: string;
    beforeAll(async () => {
      const folder = path.join(root, "check");
      await cp(SOURCE, folder, { recursive: true });
      program = path.join(folder, "tikv-raw-check");
      await run("go", ["build", "-o", program, "."], { cwd: folder });
    }, BUILD_TIMEOUT_MS);

    const check = async (...flags: string[]): Promise<string> => {
      const argv = ["-n", String(KEYS), ...flags, endpoints.join()];
      return (await run(program, argv, { timeout: 110_000, maxBuffer: 1 << 26 })).stdout;
    };
    /** Breaks the leader of the first region while the check writes, and heals it a while before it reads back. */
    const checkUnder = async (
      harm: (victim: Component) => Promise<void>,
      heal: (victim: Component) => Promise<void>,
    ) => {
      const victim = (await cluster.candidates("leads-region", signal))[0] as Component;
      const checked = check("-watch", `${WATCH_S}s`);
      await systemClock.sleep(2_000);
      await harm(victim);
      try {
        await systemClock.sleep((WATCH_S * 1_000) / 2);
      } finally {
        await heal(victim);
      }
      return checked;
    };

    test("when all is well", async () => {
      expect(await check()).toContain(`ok: ${KEYS} acknowledged writes read back`);
    });

    test("while a store hangs and goes on", async () => {
      const { engine } = cluster;
      const output = await checkUnder(
        (victim) => engine.pause(victim, signal),
        (victim) => engine.unpause(victim, signal),
      );
      expect(output).toMatch(/ok: \d+ acknowledged writes read back/);
    });

    test("while a store is cut off and comes back", async () => {
      const { engine } = cluster;
      const output = await checkUnder(
        async (victim) => void (await engine.cut?.(victim, {}, signal)),
        async (victim) => void (await engine.mend?.(victim, signal)),
      );
      expect(output).toMatch(/ok: \d+ acknowledged writes read back/);
    });

    test("while a store stays dead", async () => {
      const { engine } = cluster;
      const victim = (await cluster.candidates("leads-region", signal))[0] as Component;
      const checked = check("-watch", `${WATCH_S}s`);
      await systemClock.sleep(2_000);
      await engine.kill(victim, {}, signal);
      expect(await checked).toMatch(/ok: \d+ acknowledged writes read back/);
      // This client's release does not come back to an address that refused it, so the store returns only now.
      await engine.start(victim, signal);
      await cluster.waitReady({ timeoutMs: 60_000 }, signal);
    });
  });

  test("loses nothing acknowledged when every node is killed and started again", async () => {
    const { clock, random } = deps;
    const client = () => new RawClient({ pdEndpoints: endpoints, advertised: {}, deadlineMs: 5_000, clock, random });
    const written = new Map<string, string>();
    {
      using writer = client();
      for (let number = 0; number < 200; number++) {
        const [key, value] = [`key-${number % 13}-${number}`, `value ${number}`];
        if ((await writer.put(key, value, signal)).outcome === "ok") written.set(key, value);
      }
    }
    expect(written.size).toBeGreaterThan(150);
    const nodes = cluster.components.filter(({ role }) => role === "pd" || role === "tikv");
    await Promise.all(nodes.map(({ component }) => cluster.engine.kill(component, {}, signal)));
    await Promise.all(nodes.map(({ component }) => cluster.engine.start(component, signal)));
    await cluster.waitReady({ timeoutMs: 90_000 }, signal);
    using reader = client();
    const read = (key: string) =>
      waitFor(
        async () => {
          const result = await reader.get(key, signal).catch(() => null);
          return result?.outcome === "ok" ? result : null;
        },
        { clock, timeoutMs: 30_000, everyMs: 100, what: `${key} to be readable` },
      );
    for (const [key, value] of written) expect((await read(key)).value).toBe(value);
  });
});
