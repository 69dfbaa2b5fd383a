import { describe, expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import { jsonLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { DEFAULT_SCOPES, PLANES, type Plane } from "../../harness/control/planes.ts";
import {
  fingerprintOf,
  newToken,
  openTokenCache,
  rotateToken,
  TokenError,
  type TokenCacheOptions,
  type TokenRecord,
} from "../../harness/control/tokens/index.ts";
import { parseEntry } from "../../harness/control/tokens/entry.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryTokens } from "../support/memory-tokens.ts";
import { randomIds } from "../../harness/base/ids.ts";

const signal = new AbortController().signal;
const GRACE_MS = 300_000;

class Bench {
  readonly clock = new ManualClock();
  readonly provider = new MemoryTokens();
  readonly lines: string[] = [];
  readonly deps = {
    clock: this.clock,
    random: seededRandom(1),
    ids: randomIds,
    log: jsonLog({ level: "debug", stream: { write: (line: string) => void this.lines.push(line) } }),
  };

  record(token = newToken(randomIds)): TokenRecord {
    return { token, scopes: ["containers:read"], issuedAt: this.clock.now() };
  }

  /** A token for each plane. */
  issue(): Record<Plane, TokenRecord> {
    const records = { status_panel: this.record(), compose_agent: this.record() };
    for (const plane of PLANES) this.provider.put(plane, { current: records[plane], previous: [] });
    return records;
  }

  open(options: Partial<TokenCacheOptions> = {}) {
    return openTokenCache(
      { provider: this.provider, planes: PLANES, graceMs: GRACE_MS, ...options },
      this.deps,
      signal,
    );
  }

  rotateElsewhere(plane: Plane, graceMs = GRACE_MS) {
    return rotateToken(this.provider, plane, { graceMs }, this.deps, signal);
  }
}

describe("a token cache", () => {
  test("has what the provider has, each plane its own", async () => {
    const bench = new Bench();
    const records = bench.issue();
    await using cache = await bench.open();
    for (const plane of PLANES) {
      expect(cache.current(plane)).toEqual(records[plane]);
      expect(cache.accepted(plane, fingerprintOf(records[plane].token))).toEqual(records[plane]);
    }
    expect(cache.accepted("compose_agent", fingerprintOf(records.status_panel.token))).toBeNull();
    await bench.clock.advance(5_000);
    expect(cache.state("status_panel")).toMatchObject({ ageSeconds: 5, lastRefreshOk: true, rotations: 0 });
  });

  test("does not open without a token, with an empty one, or with one for both planes", async () => {
    const bench = new Bench();
    await expect(bench.open()).rejects.toMatchObject({ reason: "missing" });
    const shared = bench.record();
    for (const plane of PLANES) bench.provider.put(plane, { current: shared, previous: [] });
    await expect(bench.open()).rejects.toMatchObject({
      reason: "weak",
      message: expect.stringContaining("same token"),
    });
    bench.provider.failure = new TokenError("weak", "the token is empty");
    await expect(bench.open()).rejects.toMatchObject({ reason: "weak" });
    expect(bench.clock.waiting).toBe(0);
  });

  test("takes no predecessor that is the other plane's token: whoever holds that would be both", async () => {
    const bench = new Bench();
    const { status_panel: panel, compose_agent: agent } = bench.issue();
    await using cache = await bench.open();
    // Somebody gave both planes one token, and then rotated one of them to put it right.
    bench.provider.put("status_panel", { current: agent, previous: [] });
    await expect(cache.refresh("status_panel", signal)).rejects.toMatchObject({ reason: "weak" });
    await bench.rotateElsewhere("status_panel");
    await cache.refresh("status_panel", signal);
    expect(cache.current("status_panel")?.token).not.toBe(agent.token);
    expect(cache.accepted("status_panel", fingerprintOf(agent.token))).toBeNull();
    expect(cache.accepted("compose_agent", fingerprintOf(agent.token))).toEqual(agent);
    expect(cache.accepted("status_panel", fingerprintOf(panel.token))).toBeNull();
  });

  test("reads the planes that are its own and no other", async () => {
    const bench = new Bench();
    const { compose_agent } = bench.issue();
    await using cache = await bench.open({ planes: ["compose_agent"] });
    expect(bench.provider.reads).toBe(1);
    expect(cache.current("compose_agent")).toEqual(compose_agent);
    expect(cache.current("status_panel")).toBeNull();
    expect(await cache.lookup("status_panel", "0".repeat(16), signal)).toBeNull();
    expect(bench.provider.reads).toBe(1);
  });

  test("refreshes each plane every 60 s, give or take a tenth, not both at once", async () => {
    const bench = new Bench();
    bench.issue();
    const reads: number[] = [];
    const fetch = bench.provider.fetch.bind(bench.provider);
    bench.provider.fetch = (plane) => {
      reads.push(bench.clock.monotonic());
      return fetch(plane);
    };
    await using _cache = await bench.open();
    await bench.clock.advance(53_999);
    expect(reads).toEqual([0, 0]);
    await bench.clock.advance(12_002);
    expect(reads).toHaveLength(4);
    expect(new Set(reads.slice(2)).size).toBe(2);
    await bench.clock.advance(600_000);
    expect(reads.length).toBeGreaterThanOrEqual(2 * 10);
    expect(reads.length).toBeLessThanOrEqual(2 * 13);
  });

  test("a provider that is down leaves what it has in force, says so, and says once why", async () => {
    const bench = new Bench();
    const { status_panel } = bench.issue();
    await using cache = await bench.open();
    bench.provider.failure = new TokenError("sealed", "Vault is sealed");
    await bench.clock.advance(600_000);
    expect(cache.accepted("status_panel", fingerprintOf(status_panel.token))).toEqual(status_panel);
    expect(cache.state("status_panel")).toMatchObject({
      lastRefreshOk: false,
      lastError: "Vault is sealed",
      lastFailure: "sealed",
    });
    expect(bench.lines.filter((line) => line.includes("tokens.refresh-failed"))).toHaveLength(2);
    bench.provider.failure = null;
    await bench.clock.advance(70_000);
    expect(cache.state("status_panel")).toMatchObject({ lastRefreshOk: true, lastError: null, lastFailure: null });
  });

  test("one plane's trouble is not the other's", async () => {
    const bench = new Bench();
    bench.issue();
    const fetch = bench.provider.fetch.bind(bench.provider);
    await using cache = await bench.open();
    bench.provider.fetch = (plane) =>
      plane === "status_panel" ? Promise.reject(new TokenError("denied", "permission denied")) : fetch(plane);
    await bench.clock.advance(70_000);
    expect(cache.state("status_panel").lastRefreshOk).toBe(false);
    expect(cache.state("compose_agent").lastRefreshOk).toBe(true);
  });

  test("a revoked token is refused from the next reading on, without grace", async () => {
    const bench = new Bench();
    const { status_panel, compose_agent } = bench.issue();
    await using cache = await bench.open();
    await bench.provider.remove("status_panel");
    await cache.refresh("status_panel", signal);
    expect(cache.current("status_panel")).toBeNull();
    expect(cache.accepted("status_panel", fingerprintOf(status_panel.token))).toBeNull();
    expect(cache.accepted("compose_agent", fingerprintOf(compose_agent.token))).toEqual(compose_agent);
  });

  test("nothing secret is logged", async () => {
    const bench = new Bench();
    const tokens = Object.values(bench.issue()).map(({ token }) => token);
    await using cache = await bench.open();
    tokens.push((await cache.rotate("status_panel", {}, signal)).token);
    tokens.push((await bench.rotateElsewhere("compose_agent")).current.token);
    bench.provider.failure = new TokenError("down", "no answer");
    await bench.clock.advance(70_000);
    bench.provider.failure = null;
    await bench.provider.remove("status_panel");
    await bench.clock.advance(70_000);
    const said = bench.lines.join("");
    expect(said).toContain("tokens.rotated");
    expect(said).toContain("tokens.revoked");
    for (const token of tokens) expect(said).not.toContain(token);
  });
});

describe("rotation", () => {
  test("the predecessor is taken to the end of its grace and refused after it", async () => {
    const bench = new Bench();
    const { status_panel: old } = bench.issue();
    await using cache = await bench.open();
    const fresh = await cache.rotate("status_panel", {}, signal);
    expect(cache.current("status_panel")).toEqual(fresh);
    expect(fresh.scopes).toEqual(old.scopes);
    await bench.clock.advance(GRACE_MS - 1);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toMatchObject({ token: old.token });
    expect(cache.state("status_panel")).toMatchObject({ predecessors: 1, rotations: 1 });
    await bench.clock.advance(1);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toBeNull();
    expect(cache.state("status_panel").predecessors).toBe(0);
    expect(cache.accepted("status_panel", fingerprintOf(fresh.token))).toEqual(fresh);
  });

  test("with a grace of 0 every predecessor is refused at once", async () => {
    const bench = new Bench();
    const { status_panel: first } = bench.issue();
    await using cache = await bench.open();
    const second = await cache.rotate("status_panel", {}, signal);
    await cache.rotate("status_panel", { graceMs: 0 }, signal);
    for (const old of [first, second]) expect(cache.accepted("status_panel", fingerprintOf(old.token))).toBeNull();
  });

  test("a wall clock that is set back prolongs nothing", async () => {
    const bench = new Bench();
    const { status_panel: old } = bench.issue();
    await using cache = await bench.open();
    await cache.rotate("status_panel", {}, signal);
    bench.clock.jump(-3_600_000);
    await bench.clock.advance(GRACE_MS);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toBeNull();
  });

  test("grace outlives a restart, and a restart does not begin it anew", async () => {
    const bench = new Bench();
    const { status_panel: old } = bench.issue();
    await bench.rotateElsewhere("status_panel");
    await bench.clock.advance(GRACE_MS - 10_000);
    await using cache = await bench.open();
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toMatchObject({ token: old.token });
    await bench.clock.advance(10_000);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toBeNull();
  });

  test("an entry that says nothing of predecessors leaves ours their grace", async () => {
    const bench = new Bench();
    const { status_panel: old } = bench.issue();
    await using cache = await bench.open();
    bench.provider.put("status_panel", { current: bench.record(), previous: null });
    await cache.refresh("status_panel", signal);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toEqual(old);
    await bench.clock.advance(GRACE_MS);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toBeNull();
  });

  test("one elsewhere is found by the first request that is signed with the new token", async () => {
    const bench = new Bench();
    const { compose_agent: old } = bench.issue();
    await using cache = await bench.open();
    const { current: fresh } = await bench.rotateElsewhere("compose_agent");
    const fingerprint = fingerprintOf(fresh.token);
    expect(cache.accepted("compose_agent", fingerprint)).toBeNull();
    expect(await cache.lookup("compose_agent", fingerprint, signal)).toMatchObject({ token: fresh.token });
    expect(await cache.lookup("compose_agent", fingerprintOf(old.token), signal)).toMatchObject({ token: old.token });
  });

  test("of 20 in a row, one a second, every token is taken for its whole grace and no longer", async () => {
    const bench = new Bench();
    const tokens = [bench.issue().status_panel.token];
    await using cache = await bench.open();
    for (let round = 0; round < 20; round++) {
      await bench.clock.advance(1_000);
      tokens.push((await bench.rotateElsewhere("status_panel")).current.token);
      for (const token of tokens)
        expect(await cache.lookup("status_panel", fingerprintOf(token), signal), `round ${round}`).toMatchObject({
          token,
        });
    }
    await bench.clock.advance(GRACE_MS);
    for (const token of tokens.slice(0, -1))
      expect(await cache.lookup("status_panel", fingerprintOf(token), signal)).toBeNull();
    expect(await cache.lookup("status_panel", fingerprintOf(tokens.at(-1)!), signal)).not.toBeNull();
  });

  test("an empty, short or monotonous token is refused, and so is the other plane's or the one in force", async () => {
    const bench = new Bench();
    const { status_panel, compose_agent } = bench.issue();
    await using cache = await bench.open();
    const refused = ["", "short", "a".repeat(64), "x y".repeat(20), status_panel.token, compose_agent.token];
    for (const token of refused) {
      const rotation = cache.rotate("status_panel", { token }, signal);
      await expect(rotation, JSON.stringify(token)).rejects.toMatchObject({ reason: "weak" });
      await rotation.catch((error: Error) => {
        if (token.length > 3) expect(error.message).not.toContain(token);
      });
    }
    expect(cache.current("status_panel")).toEqual(status_panel);
  });

  test("that cannot be stored changes nothing", async () => {
    const bench = new Bench();
    const { status_panel } = bench.issue();
    await using cache = await bench.open();
    bench.provider.failure = new TokenError("denied", "permission denied");
    await expect(cache.rotate("status_panel", {}, signal)).rejects.toMatchObject({ reason: "denied" });
    expect(cache.current("status_panel")).toEqual(status_panel);
  });

  test("puts right what was empty or no record", async () => {
    const bench = new Bench();
    bench.issue();
    const fetch = bench.provider.fetch.bind(bench.provider);
    bench.provider.fetch = () => {
      bench.provider.fetch = fetch;
      return Promise.reject(new TokenError("weak", "the token is empty"));
    };
    const { current } = await bench.rotateElsewhere("status_panel");
    expect(current.scopes).toEqual(DEFAULT_SCOPES.status_panel);
  });

  test("a reading that began before it does not bring the old token back", async () => {
    const bench = new Bench();
    const { status_panel: old } = bench.issue();
    await using cache = await bench.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    bench.provider.gate = promise;
    const early = cache.refresh("status_panel", signal);
    await bench.clock.advance(0);
    bench.provider.gate = null;
    const rotated = cache.rotate("status_panel", { graceMs: 0 }, signal);
    await bench.clock.advance(0);
    resolve();
    await Promise.all([early, rotated]);
    expect(cache.current("status_panel")?.token).toBe((await rotated).token);
    expect(cache.accepted("status_panel", fingerprintOf(old.token))).toBeNull();
  });
});

describe("strangers", () => {
  test("cannot make it read more often than the provider allows, nor keep a new token waiting for longer", async () => {
    const bench = new Bench();
    bench.issue();
    bench.provider.rereadEveryMs = 250;
    await using cache = await bench.open();
    const before = bench.provider.reads;
    const strangers = Array.from({ length: 1_000 }, (_, n) =>
      cache.lookup("status_panel", n.toString(16).padStart(16, "0"), signal),
    );
    const { current } = await bench.rotateElsewhere("status_panel");
    const owner = cache.lookup("status_panel", fingerprintOf(current.token), signal);
    await bench.clock.advance(250);
    expect(await owner).toMatchObject({ token: current.token });
    expect((await Promise.all(strangers)).every((found) => found === null)).toBe(true);
    // One of the rotation itself.
    expect(bench.provider.reads - before).toBeLessThanOrEqual(3);
  });

  test("a fingerprint that nobody has is not looked for again at once; what is none, never", async () => {
    const bench = new Bench();
    bench.issue();
    await using cache = await bench.open();
    const before = bench.provider.reads;
    for (let n = 0; n < 50; n++) expect(await cache.lookup("status_panel", "f".repeat(16), signal)).toBeNull();
    for (const none of ["", "F".repeat(16), "../etc/passwd", "f".repeat(17)])
      expect(await cache.lookup("status_panel", none, signal)).toBeNull();
    expect(bench.provider.reads - before).toBe(1);
  });

  test("who stops waiting does not stop the others", async () => {
    const bench = new Bench();
    bench.issue();
    await using cache = await bench.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    bench.provider.gate = promise;
    const gone = new AbortController();
    const impatient = cache.lookup("status_panel", "e".repeat(16), gone.signal);
    const patient = cache.lookup("status_panel", "d".repeat(16), signal);
    gone.abort(new Error("gone"));
    await expect(impatient).rejects.toThrow("gone");
    resolve();
    expect(await patient).toBeNull();
  });
});

test("a date of issue in the future makes no negative age", async () => {
  const bench = new Bench();
  const record = { ...bench.record(), issuedAt: (bench.clock.now() + 60_000) as EpochMs };
  bench.provider.put("status_panel", { current: record, previous: [] });
  await using cache = await bench.open({ planes: ["status_panel"] });
  expect(cache.state("status_panel").ageSeconds).toBe(0);
});

test("predecessors that are no secret are not taken: an empty one would let anybody in", () => {
  const [good, current] = [newToken(randomIds), newToken(randomIds)];
  const issued_at = new Date(0).toISOString();
  const accepted_until = new Date(4e12).toISOString();
  const previous = ["", "a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", good].map((token) => ({
    token,
    scopes: [],
    issued_at,
    accepted_until,
  }));
  const where = { plane: "status_panel", where: "here", seenAt: 0 as EpochMs } as const;
  expect(parseEntry({ token: current, previous }, where).previous?.map(({ token }) => token)).toEqual([good]);
});
