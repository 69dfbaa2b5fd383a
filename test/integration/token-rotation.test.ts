import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { systemClock, type Clock, type EpochMs } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import type { ControlClient } from "../../harness/control/client/index.ts";
import type { Plane } from "../../harness/control/planes.ts";
import {
  fileTokens,
  fingerprintOf,
  openTokenCache,
  rotateToken,
  vaultTokens,
  type TokenProvider,
  type TokenRecord,
} from "../../harness/control/tokens/index.ts";
import { startControl, type TestControl } from "../support/control-server.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { VaultServer } from "../support/vault/vault-server.ts";

const signal = new AbortController().signal;
const PLANE: Plane = "compose_agent";
const ROTATIONS = 20;
const GRACE_MS = 300_000;
const NO_LIMIT = { requestsPerSecond: 1e6, burst: 1e6 };

/** The real time, which a test may move on by a step. */
class SteppedClock implements Clock {
  #aheadMs = 0;
  now = (): EpochMs => (systemClock.now() + this.#aheadMs) as EpochMs;
  monotonic = (): number => systemClock.monotonic() + this.#aheadMs;
  sleep = (ms: number, stopped?: AbortSignal): Promise<void> => systemClock.sleep(ms, stopped);
  step(ms: number): void {
    this.#aheadMs += ms;
  }
}

interface Load {
  /** Waits until so many more requests were answered, or one was refused. */
  more(count: number): Promise<void>;
  /** Ends the load and waits for its last requests. @throws what any request was refused with. */
  stop(): Promise<void>;
}

/** Asks without a pause over several connections until it is stopped. */
function load(clients: readonly ControlClient[]): Load {
  let [going, done, refused] = [true, 0, false];
  const all = Promise.all(
    clients.map(async (client) => {
      while (going) {
        await client.execute("list", {}, {}, signal);
        done++;
      }
    }),
  );
  all.catch(() => (refused = true));
  const stop = async (): Promise<void> => {
    going = false;
    await all;
  };
  const more = async (count: number): Promise<void> => {
    const enough = done + count;
    while (done < enough && !refused) await new Promise((next) => setTimeout(next, 2));
  };
  return { more, stop };
}

/** Rotates 20 times, each time after some more requests were answered; then lets the grace end. */
async function rotateUnderLoad(
  control: TestControl,
  clock: SteppedClock,
  provider: () => TokenProvider,
  rotate: (round: number) => Promise<void>,
): Promise<void> {
  const deps = { clock, ids: randomIds, log: silentLog, random: seededRandom(2) };
  const old: TokenRecord[] = [];
  // A program that has not heard of any rotation, and one that hears of each before the server does.
  await using deaf = await openTokenCache({ provider: provider(), planes: [PLANE] }, deps, signal);
  await using alert = await openTokenCache({ provider: provider(), planes: [PLANE] }, deps, signal);
  const client = (cache: typeof deaf) =>
    control.client(PLANE, {
      token: () => cache.current(PLANE),
      refreshToken: (stopped) => cache.refresh(PLANE, stopped),
    });
  const running = load([client(deaf), client(deaf), client(alert), client(alert)]);
  for (let round = 0; round < ROTATIONS; round++) {
    old.push(alert.current(PLANE)!);
    await rotate(round);
    await alert.refresh(PLANE, signal);
    await running.more(8);
  }
  await running.stop();
  const fresh = alert.current(PLANE)!;
  expect(new Set([...old, fresh].map(({ token }) => token)).size).toBe(ROTATIONS + 1);
  expect(fingerprintOf(deaf.current(PLANE)!.token)).toBe(fingerprintOf(old[0]!.token));

  const ask = (record: TokenRecord) => control.client(PLANE, { token: () => record }).execute("list", {}, {}, signal);
  for (const record of old) await ask(record);
  clock.step(GRACE_MS + 1);
  for (const record of old) await expect(ask(record)).rejects.toMatchObject({ status: 401, apiCode: "key-unknown" });
  expect(await ask(fresh)).toMatchObject({ status: "success" });
  expect(control.tokens.state(PLANE)).toMatchObject({ predecessors: 0, fingerprint: fingerprintOf(fresh.token) });
}

const engine = () => new ScriptedEngine(systemClock, [{ component: "tikv0" }, { component: "tikv1" }]);

test("tokens in files, rotated 20 times under load by other processes: no valid request is refused; each old one is, after its grace", async () => {
  const clock = new SteppedClock();
  await using control = await startControl({ engine: engine(), clock, limits: NO_LIMIT });
  const folder = join(control.folder, "tokens");
  const deps = { clock, ids: randomIds };
  // Two by the program itself, the others by another provider on the same files, which is as far away.
  await rotateUnderLoad(
    control,
    clock,
    () => fileTokens(folder, deps),
    async (round) => {
      if (round % 10 === 0) return await rotateByProgram(folder);
      await rotateToken(fileTokens(folder, deps), PLANE, { graceMs: GRACE_MS }, deps, signal);
    },
  );
});

test("tokens in Vault, rotated 20 times under load by another client of it: the same", async () => {
  await using vault = await VaultServer.start();
  const clock = new SteppedClock();
  const deps = { clock, ids: randomIds, fetch: globalThis.fetch };
  const provider = (): TokenProvider => ({
    ...vaultTokens(
      {
        address: vault.url,
        token: vault.root,
        namespace: null,
        pathPrefix: "secret/agent",
        deploymentHash: "d3adb33f",
        kvVersion: null,
      },
      deps,
    ),
    // 20 rotations in a row are none of the strangers that it is meant for.
    rereadEveryMs: 10,
  });
  await using control = await startControl({ engine: engine(), clock, limits: NO_LIMIT, provider: provider() });
  await rotateUnderLoad(control, clock, provider, async () => {
    await rotateToken(provider(), PLANE, { graceMs: GRACE_MS }, deps, signal);
  });
});

test("over the API: the caller's own plane only, the answer names the new token by fingerprint, both go on being taken", async () => {
  await using control = await startControl({ engine: engine() });
  const before = control.tokens.current(PLANE)!;
  const holder = control.client(PLANE, { token: () => before });
  const answer = await holder.post("/api/v1/auth/rotate-token", {}, signal);
  const after = control.tokens.current(PLANE)!;
  expect(answer).toEqual({ rotated: true, plane: PLANE, fingerprint: fingerprintOf(after.token) });
  expect(after.token).not.toBe(before.token);
  expect(JSON.stringify(answer)).not.toContain(after.token);
  for (const record of [before, after])
    expect(await control.client(PLANE, { token: () => record }).execute("list", {}, {}, signal)).toMatchObject({
      status: "success",
    });
  const other = holder.post("/api/v1/auth/rotate-token", { plane: "status_panel" }, signal);
  await expect(other).rejects.toMatchObject({ status: 403 });
});

test("an empty or short token over the API is refused, and locks nobody out", async () => {
  await using control = await startControl({ engine: engine() });
  const before = control.tokens.current(PLANE)!;
  const client = control.client(PLANE);
  for (const body of [{ new_token: "" }, { new_token: "short" }, { token: "" }])
    await expect(client.post("/api/v1/auth/rotate-token", body, signal)).rejects.toMatchObject({ status: 400 });
  expect(control.tokens.current(PLANE)).toEqual(before);
  expect(await client.execute("list", {}, {}, signal)).toMatchObject({ status: "success" });
});

async function rotateByProgram(folder: string): Promise<void> {
  const program = resolve(import.meta.dirname, "../../harness/cli/main.ts");
  const child = spawn(process.execPath, [program, "token", "rotate", PLANE, "--grace", String(GRACE_MS / 1_000)], {
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TOKEN_DIR: folder },
    stdio: "ignore",
  });
  const [code] = (await once(child, "close")) as [number | null];
  expect(code).toBe(0);
}
