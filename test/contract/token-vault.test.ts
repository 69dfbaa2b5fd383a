import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { jsonLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import {
  fingerprintOf,
  newToken,
  openTokenCache,
  rotateToken,
  tokenProvider,
  vaultTokens,
  type VaultTokensOptions,
} from "../../harness/control/tokens/index.ts";
import { keepVaultToken } from "../../harness/control/tokens/vault/keep-vault-token.ts";
import { vaultClient } from "../../harness/control/tokens/vault/vault-client.ts";
import { VaultSecrets } from "../../harness/control/tokens/vault/vault-secrets.ts";
import { PLANES } from "../../harness/control/planes.ts";
import { readSettings } from "../../harness/control/settings.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { textOf } from "../support/repository.ts";
import { errors } from "../support/vault/vault-answer.ts";
import { VaultServer } from "../support/vault/vault-server.ts";
import { tokenProviderSuite, type ProviderScene } from "./token-provider.suite.ts";

const signal = new AbortController().signal;
const real = { clock: systemClock, ids: randomIds, fetch: globalThis.fetch };
const POLICY = (name: string) => textOf(`docker/agent/vault/${name}.hcl`);

async function vault(options: Partial<VaultTokensOptions> = {}, clock?: Clock) {
  const server = await VaultServer.start(clock);
  server.mountV1("kv1");
  const settings = {
    address: server.url,
    token: server.root,
    namespace: null,
    pathPrefix: "secret/agent",
    deploymentHash: "default",
    kvVersion: null,
    ...options,
  };
  const deps = { ...real, clock: clock ?? systemClock };
  const as = (token: string) => vaultTokens({ ...settings, token }, deps);
  return {
    server,
    provider: vaultTokens(settings, deps),
    as,
    settings,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function scene(version: 1 | 2, kvVersion: 1 | 2 | null): Promise<ProviderScene> {
  const pathPrefix = version === 2 ? "secret/agent" : "kv1/agent";
  const { server, provider } = await vault({ pathPrefix, kvVersion });
  return {
    provider,
    checksVersion: version === 2,
    async writeRaw(data) {
      const path = version === 2 ? "secret/data/agent" : "kv1/agent";
      const response = await fetch(`${server.url}/v1/${path}/default/compose_agent_token`, {
        method: "POST",
        headers: { "x-vault-token": server.root },
        body: JSON.stringify(version === 2 ? { data } : data),
      });
      expect(response.ok).toBe(true);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

tokenProviderSuite("Vault, KV v2", () => scene(2, null));
tokenProviderSuite("Vault, KV v1", () => scene(1, null));

describe("tokens in Vault", () => {
  test("lie at <prefix>/<deployment>/<plane>_token; the version of KV is asked for once, or told", async () => {
    await using asked = await vault();
    await rotateToken(asked.provider, "compose_agent", {}, real, signal);
    await asked.provider.fetch("status_panel", signal);
    expect(asked.server.asked).toEqual([
      "GET /v1/sys/internal/ui/mounts/secret/agent/default/status_panel_token",
      "GET /v1/secret/data/agent/default/compose_agent_token",
      // Nobody has it: which version a soft-deleted one has is looked up before the write.
      "GET /v1/secret/data/agent/default/compose_agent_token",
      "POST /v1/secret/data/agent/default/compose_agent_token",
      "GET /v1/secret/data/agent/default/status_panel_token",
    ]);
    await using told = await vault({ pathPrefix: "kv1/agent", kvVersion: 1 });
    await told.provider.fetch("compose_agent", signal);
    expect(told.server.asked).toEqual(["GET /v1/kv1/agent/default/compose_agent_token"]);
  });

  test("another key may be named; none = status_panel_token", async () => {
    await using scene = await vault({ keys: { compose_agent: "mine" } });
    const { current } = await rotateToken(scene.provider, "compose_agent", {}, real, signal);
    const secrets = new VaultSecrets(vaultClient(scene.settings, real), scene.settings, systemClock);
    expect(await secrets.fetch(signal, { key: "mine" })).toMatchObject({ current });
    expect(await secrets.fetch(signal)).toBeNull();
    const { current: panel } = await rotateToken(scene.provider, "status_panel", {}, real, signal);
    expect(await secrets.fetch(signal)).toMatchObject({ current: panel });
    await secrets.remove(signal);
    expect(await scene.provider.fetch("status_panel", signal)).toBeNull();
    await secrets.store({ current: panel, previous: [] }, signal, { expected: null });
    expect(await scene.provider.fetch("status_panel", signal)).toMatchObject({ current: panel });
  });

  test("VAULT_TOKEN_KEY names the key of the program's own plane; the other plane's is refused", async () => {
    await using scene = await vault();
    const { settings } = readSettings({
      env: {
        HOME: "/nowhere",
        VAULT_ADDRESS: scene.server.url,
        VAULT_TOKEN: scene.server.root,
        VAULT_TOKEN_KEY: "compose_agent_token",
      },
    });
    const own = tokenProvider(settings, "compose_agent", real);
    for (const plane of PLANES) await rotateToken(own, plane, {}, real, signal);
    expect(scene.server.asked).toContain("POST /v1/secret/data/agent/default/compose_agent_token");
    expect(scene.server.asked).toContain("POST /v1/secret/data/agent/default/status_panel_token");
    expect(() => tokenProvider(settings, "status_panel", real)).toThrow(/the key of the other plane/);
  });

  test("the shipped policies: each plane reads its own key and nothing else; only rotation writes", async () => {
    await using scene = await vault();
    const { server } = scene;
    const rotator = scene.as(server.tokenFor(POLICY("rotation")));
    const panel = await rotateToken(rotator, "status_panel", {}, real, signal);
    const agent = await rotateToken(rotator, "compose_agent", {}, real, signal);
    const planes = [
      ["status-panel", "status_panel", "compose_agent", panel],
      ["compose-agent", "compose_agent", "status_panel", agent],
    ] as const;
    for (const [policy, own, other, entry] of planes) {
      const provider = scene.as(server.tokenFor(POLICY(policy)));
      expect(await provider.fetch(own, signal)).toMatchObject({ current: entry.current });
      await expect(provider.fetch(other, signal)).rejects.toMatchObject({ reason: "denied" });
      await expect(rotateToken(provider, own, {}, real, signal)).rejects.toMatchObject({ reason: "denied" });
      await expect(provider.remove(own, signal)).rejects.toMatchObject({ reason: "denied" });
    }
    await rotator.remove("status_panel", signal);
    expect(await rotator.fetch("status_panel", signal)).toBeNull();
  });

  test("one that was soft-deleted by hand counts as none and can be issued anew", async () => {
    await using scene = await vault();
    await rotateToken(scene.provider, "status_panel", {}, real, signal);
    await fetch(`${scene.server.url}/v1/secret/data/agent/default/status_panel_token`, {
      method: "DELETE",
      headers: { "x-vault-token": scene.server.root },
    });
    expect(await scene.provider.fetch("status_panel", signal)).toBeNull();
    const { current } = await rotateToken(scene.provider, "status_panel", {}, real, signal);
    expect(await scene.provider.fetch("status_panel", signal)).toMatchObject({ current });
  });

  test("revoking leaves no version of it in the history", async () => {
    await using scene = await vault();
    await rotateToken(scene.provider, "status_panel", {}, real, signal);
    await rotateToken(scene.provider, "status_panel", {}, real, signal);
    await scene.provider.remove("status_panel", signal);
    const response = await fetch(`${scene.server.url}/v1/secret/data/agent/default/status_panel_token?version=1`, {
      headers: { "x-vault-token": scene.server.root },
    });
    expect(response.status).toBe(404);
  });
});

describe("when Vault does not do as asked", () => {
  test.each<[string, string, (scene: Awaited<ReturnType<typeof vault>>) => Promise<unknown> | void]>([
    ["is sealed", "sealed", ({ server }) => server.seal()],
    ["is gone", "down", ({ server }) => server[Symbol.asyncDispose]()],
    ["answers 500", "down", ({ server }) => void (server.failWith = errors(500, "internal error"))],
    ["answers 429", "down", ({ server }) => void (server.failWith = errors(429, "rate limit quota exceeded"))],
    ["answers in HTML", "malformed", ({ server }) => void (server.failWith = { status: 404, body: "<html>" })],
    ["is a standby that sends elsewhere", "down", ({ server }) => void (server.failWith = { status: 307, body: "" })],
  ])("it %s: %s, and the cache stays in force", async (_, reason, harm) => {
    await using scene = await vault();
    const { current } = await rotateToken(scene.provider, "status_panel", {}, real, signal);
    const deps = { ...real, random: seededRandom(1), log: jsonLog({ stream: { write: () => {} } }) };
    await using cache = await openTokenCache({ provider: scene.provider, planes: ["status_panel"] }, deps, signal);
    await harm(scene);
    await expect(cache.refresh("status_panel", signal)).rejects.toMatchObject({ reason });
    expect(cache.accepted("status_panel", fingerprintOf(current.token))).toMatchObject({ token: current.token });
    expect(cache.state("status_panel")).toMatchObject({ lastRefreshOk: false });
  });

  test("it takes its time: given up after 5 s by the clock", async () => {
    const clock = new ManualClock();
    await using scene = await vault({}, clock);
    scene.server.stall = true;
    const read = scene.provider.fetch("status_panel", signal);
    const refused = expect(read).rejects.toMatchObject({ reason: "timeout" });
    while (scene.server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await clock.advance(5_000);
    await refused;
  });

  test.each<[string, Partial<VaultTokensOptions>, string, RegExp]>([
    ["a token that it does not know", { token: "s.wrong-secret" }, "denied", /refuses .* permission denied/],
    ["a mount that is not there", { pathPrefix: "nomount/agent" }, "denied", /grant access to path/],
    ["a mount that is not there, version told", { pathPrefix: "nomount/agent", kvVersion: 2 }, "missing", /no handler/],
    ["v1's path on a v2 mount", { kvVersion: 1 }, "missing", /versioned K\/V/],
    ["a namespace that is not there", { namespace: "nowhere" }, "missing", /VAULT_NAMESPACE/],
    [
      "a namespace that is not there, version told",
      { namespace: "nowhere", kvVersion: 2 },
      "missing",
      /VAULT_NAMESPACE/,
    ],
  ])("%s: is said so, and is not taken for a revoked token", async (_, options, reason, words) => {
    await using scene = await vault(options);
    const read = scene.provider.fetch("status_panel", signal);
    await expect(read).rejects.toMatchObject({ reason, message: expect.stringMatching(words) });
    await read.catch((error: Error) => expect(error.message).not.toMatch(/wrong-secret/));
  });

  test("its token is sent to no other server, whatever the answer says", async () => {
    const seen: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers["x-vault-token"] as string | undefined);
      response.end("{}");
    });
    const first = createServer((_, response) => {
      const { port } = other.address() as AddressInfo;
      response.writeHead(307, { location: `http://127.0.0.1:${port}/v1/x` }).end();
    });
    for (const server of [other, first]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = `http://127.0.0.1:${(first.address() as AddressInfo).port}`;
      await using scene = await vault({ address });
      await expect(scene.provider.fetch("status_panel", signal)).rejects.toMatchObject({ reason: "down" });
      expect(seen).toEqual([]);
    } finally {
      for (const server of [other, first]) {
        server.closeAllConnections();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      }
    }
  });
});

describe("the Vault token that we came with", () => {
  const ANSWER_MS = 5_000;
  const READS = 'path "secret/data/agent/default/status_panel_token" { capabilities = ["read"] }';

  async function kept(options: Record<string, unknown>) {
    const clock = new ManualClock();
    let lastSleepMs = 0;
    const sleep: Clock["sleep"] = (ms, stopped) => {
      lastSleepMs = ms;
      return clock.sleep(ms, stopped);
    };
    const watched: Clock = { now: () => clock.now(), monotonic: () => clock.monotonic(), sleep };
    const scene = await vault({}, watched);
    await rotateToken(scene.provider, "status_panel", {}, { ...real, clock }, signal);
    const token = scene.server.tokenFor(READS, options);
    const lines: string[] = [];
    const log = jsonLog({ stream: { write: (line: string) => void lines.push(line) } });
    const stop = new AbortController();
    const keeping = scene.as(token).maintain?.(log, stop.signal);
    /** Moves the clock and waits for what that makes the client ask. */
    const until = async (asked: string, advanceMs: number) => {
      const before = scene.server.asked.length;
      await clock.advance(advanceMs);
      while (!scene.server.asked.slice(before).includes(asked)) await new Promise((resolve) => setTimeout(resolve, 5));
      // The answer's way back, until what it waits for is no answer any more.
      while (lastSleepMs === ANSWER_MS) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    return {
      ...scene,
      token,
      lines,
      until,
      keeping,
      async [Symbol.asyncDispose]() {
        stop.abort(new Error("over"));
        await keeping;
        await scene[Symbol.asyncDispose]();
      },
    };
  }

  test("is renewed at two thirds of its life, again and again", async () => {
    await using scene = await kept({ ttl: "30s" });
    await scene.until("GET /v1/auth/token/lookup-self", 0);
    for (let round = 0; round < 4; round++) await scene.until("POST /v1/auth/token/renew-self", 20_000);
    expect(await scene.as(scene.token).fetch("status_panel", signal)).not.toBeNull();
    expect(scene.lines).toEqual([]);
  });

  test("that cannot be renewed is said once, with how long it will do", async () => {
    await using scene = await kept({ ttl: "60s", renewable: false });
    await scene.keeping;
    expect(scene.lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: "warn", event: "vault.token-will-end", inSeconds: 60 },
    ]);
    expect(scene.lines.join("")).not.toContain(scene.token);
  });

  test("is tried again when Vault is back", async () => {
    await using scene = await kept({ ttl: "120s" });
    await scene.until("GET /v1/auth/token/lookup-self", 0);
    scene.server.seal();
    await scene.until("POST /v1/auth/token/renew-self", 80_000);
    scene.server.seal(false);
    expect(scene.lines.join("")).toContain("vault.renewal-failed");
    await scene.until("POST /v1/auth/token/renew-self", 30_000);
    expect(await scene.as(scene.token).fetch("status_panel", signal)).not.toBeNull();
  });

  test("one that does not end is left alone", async () => {
    const clock = new ManualClock();
    await using scene = await vault({}, clock);
    const log = jsonLog({ stream: { write: () => expect.unreachable() } });
    await scene.provider.maintain?.(log, signal);
    expect(scene.server.asked).toEqual(["GET /v1/auth/token/lookup-self"]);
  });
});

describe("answers about our own token that say nothing", () => {
  /** What lookup-self and renew-self say; the pauses between, as they were asked for. */
  async function pausesAfter(lookup: unknown, renewal: unknown): Promise<readonly number[]> {
    const pauses: number[] = [];
    const stop = new AbortController();
    const sleep: Clock["sleep"] = async (ms) => {
      pauses.push(ms);
      if (pauses.length === 4) stop.abort(new Error("enough"));
      stop.signal.throwIfAborted();
    };
    const client = {
      address: "http://vault",
      request: async (method: string) => ({
        status: 200,
        json: (method === "GET" ? lookup : renewal) as Record<string, unknown>,
        words: [],
      }),
    };
    await keepVaultToken(
      client,
      { clock: { ...systemClock, sleep }, log: jsonLog({ stream: { write: () => true } }) },
      stop.signal,
    );
    return pauses;
  }

  const good = { data: { ttl: 60, renewable: true } };

  test.each<[string, unknown, unknown, number]>([
    ["nothing", {}, {}, 30_000],
    ["no number", { data: { ttl: "soon", renewable: true } }, {}, 30_000],
    ["an endless one", { data: { ttl: 1e300 * 1e300, renewable: true } }, {}, 30_000],
    ["a renewal without a word", good, {}, 30_000],
    ["a renewal for no time", good, { auth: { lease_duration: 0, renewable: true } }, 30_000],
    // Beyond 2^31 ms a timer ends at once.
    ["years", { data: { ttl: 1e9, renewable: true } }, { auth: { lease_duration: 1e9, renewable: true } }, 86_400_000],
  ])("%s: asked again after a while, neither at once nor never", async (_, lookup, renewal, last) => {
    expect((await pausesAfter(lookup, renewal)).slice(1, 3)).toEqual(expect.arrayContaining([last]));
    for (const ms of await pausesAfter(lookup, renewal)) expect(ms).toBeGreaterThanOrEqual(30_000);
  });
});

test("a token is never part of what is asked for by path", async () => {
  await using scene = await vault();
  const token = newToken(randomIds);
  await rotateToken(scene.provider, "status_panel", { token }, real, signal);
  expect(scene.server.asked.join(" ")).not.toContain(token);
});
