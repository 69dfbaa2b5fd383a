import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { randomIds } from "../../harness/base/ids.ts";
import { COMMANDS, commandSpec, isCommand, type CommandName } from "../../harness/control/contract.ts";
import { DEFAULT_SCOPES, SCOPES } from "../../harness/control/planes.ts";
import { KeyedLock } from "../../harness/control/server/keyed-lock.ts";
import { WorkerSlots } from "../../harness/control/queue/worker-slots.ts";
import { Epoch } from "../../harness/control/server/epoch.ts";
import { openApi } from "../../harness/control/server/openapi.ts";
import { RateLimit } from "../../harness/control/server/rate-limit.ts";
import { signatureHolds, signatureOf, type SignedParts } from "../../harness/control/signing.ts";
import { isCommandOfTool } from "../../harness/control/tool-command.ts";
import { ManualClock } from "../support/manual-clock.ts";

const PARTS: SignedParts = {
  method: "POST",
  target: "/api/v1/commands/execute?a=1",
  bodyDigest: "00",
  plane: "compose_agent",
  fingerprint: "0123456789abcdef",
  agentId: "agent",
  timestampMs: 1,
  nonce: "n",
  idempotencyKey: "k",
  serverId: "s",
  bootEpoch: "e",
};

describe("signatures", () => {
  test("hold for exactly what was signed, with the token it was signed with", () => {
    const signature = signatureOf(PARTS, "token");
    expect(signatureHolds(PARTS, "token", signature)).toBe(true);
    expect(signatureHolds(PARTS, "other", signature)).toBe(false);
    for (const name of Object.keys(PARTS) as (keyof SignedParts)[]) {
      const changed = { ...PARTS, [name]: typeof PARTS[name] === "number" ? 2 : `${PARTS[name]}x` } as SignedParts;
      expect(signatureHolds(changed, "token", signature), name).toBe(false);
    }
  });

  test("an empty token signs nothing, and a signature of any length is only wrong", () => {
    expect(() => signatureOf(PARTS, "")).toThrow(RangeError);
    fc.assert(fc.property(fc.string(), (given) => !signatureHolds(PARTS, "token", given)));
  });

  test("no two requests look alike: what ends one part cannot begin the next", () => {
    const one = signatureOf({ ...PARTS, agentId: "ab", nonce: "c" }, "token");
    expect(signatureOf({ ...PARTS, agentId: "a", nonce: "bc" }, "token")).not.toBe(one);
  });
});

describe("epochs and nonces", () => {
  test("a nonce passes once; it is remembered for as long as its timestamp could pass", async () => {
    const clock = new ManualClock();
    const epoch = new Epoch({ clock, ids: randomIds });
    expect(epoch.isNew("a")).toBe(true);
    // A timestamp passes from 120 s before to 120 s after; a clock that goes back as far as that begins no new epoch.
    await clock.advance(360_000);
    expect(epoch.isNew("a")).toBe(false);
    await clock.advance(1_000);
    expect(epoch.isNew("b")).toBe(true);
    expect(epoch.isNew("a")).toBe(true);
  });

  test("a wall clock that goes far back begins a new epoch, since old timestamps would pass again", async () => {
    const clock = new ManualClock();
    const epoch = new Epoch({ clock, ids: randomIds });
    const first = epoch.current;
    clock.jump(-100_000);
    expect(epoch.current).toBe(first);
    clock.jump(-30_000);
    const second = epoch.current;
    expect(second).not.toBe(first);
    clock.jump(3_600_000);
    expect(epoch.current).toBe(second);
  });
});

describe("rates and slots", () => {
  test("a bucket lets its burst through, then what flows in", async () => {
    const clock = new ManualClock();
    const rate = new RateLimit({ perSecond: 2, burst: 3 }, clock);
    expect([rate.take(), rate.take(), rate.take()]).toEqual([0, 0, 0]);
    expect(rate.take()).toBe(500);
    await clock.advance(500);
    expect(rate.take()).toBe(0);
    await clock.advance(60_000);
    expect([rate.take(), rate.take(), rate.take(), rate.take()].map((ms) => ms > 0)).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  test("slots grow with those who wait, from the lower bound to the upper and back", async () => {
    const slots = new WorkerSlots({ min: 2, max: 5 });
    const signal = new AbortController().signal;
    const held = [await slots.acquire("agent", signal), await slots.acquire("agent", signal)];
    const third = slots.acquire("agent", signal);
    expect(slots.counts()).toEqual({ slots: 2, busy: 2, waiting: 1 });
    const fourth = slots.acquire("agent", signal);
    held.push(await third);
    expect(slots.counts()).toEqual({ slots: 3, busy: 3, waiting: 1 });
    const more = Array.from({ length: 20 }, () => slots.acquire("agent", signal));
    held.push(await fourth);
    expect(slots.counts()).toMatchObject({ slots: 5, busy: 4, waiting: 20 });
    // The last is kept for who has none.
    expect(slots.tryAcquire("agent", 9)).toBeNull();
    held.push(await slots.acquire("panel", signal));
    expect(slots.counts()).toMatchObject({ slots: 5, busy: 5, waiting: 20 });
    for (const slot of held) slot[Symbol.dispose]();
    for (const slot of more) (await slot)[Symbol.dispose]();
    expect(slots.counts()).toEqual({ slots: 2, busy: 0, waiting: 0 });
  });

  test("who has no slot gets one at once, however long the other's line", async () => {
    const slots = new WorkerSlots({ min: 1, max: 4 });
    const signal = new AbortController().signal;
    await slots.acquire("agent", signal);
    const line = [slots.acquire("agent", signal)];
    expect(slots.tryAcquire("panel", 0)).not.toBeNull();
    expect(slots.tryAcquire("panel", 0)).toBeNull();
    expect(slots.counts()).toMatchObject({ busy: 2, waiting: line.length });
  });

  test("who stops waiting for a slot leaves the line, and a slot is given back once", async () => {
    const slots = new WorkerSlots({ min: 1, max: 1 });
    const slot = await slots.acquire("agent", new AbortController().signal);
    const gone = new AbortController();
    const waiting = slots.acquire("agent", gone.signal);
    gone.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    slot[Symbol.dispose]();
    slot[Symbol.dispose]();
    expect(slots.counts()).toEqual({ slots: 1, busy: 0, waiting: 0 });
    expect(slots.tryAcquire("agent", 0)).not.toBeNull();
    expect(slots.tryAcquire("agent", 0)).toBeNull();
  });

  test("a container's turn: one at a time, in order, and who stops waiting leaves the line", async () => {
    const locks = new KeyedLock();
    const free: string[] = [];
    locks.onFree = () => void free.push("free");
    const signal = new AbortController().signal;
    const first = locks.tryAcquire("tikv1");
    expect([locks.tryAcquire("tikv1"), locks.held]).toEqual([null, ["tikv1"]]);
    const gone = new AbortController();
    const leaves = locks.acquire("tikv1", gone.signal);
    const second = locks.acquire("tikv1", signal);
    gone.abort(new Error("enough"));
    await expect(leaves).rejects.toThrow("enough");
    first?.[Symbol.dispose]();
    first?.[Symbol.dispose]();
    expect(free).toEqual([]);
    (await second)[Symbol.dispose]();
    expect([free, locks.held]).toEqual([["free"], []]);
  });
});

describe("commands", () => {
  const component = "tikv1";
  const GOOD: Readonly<Record<CommandName, readonly [params: object, effect: string, scope: string]>> = {
    health: [{}, "read", "containers:read"],
    list: [{}, "read", "containers:read"],
    inspect: [{ component }, "read", "containers:read"],
    stats: [{ component }, "read", "containers:read"],
    logs: [{ component, tail: 5 }, "read", "containers:read"],
    start: [{ component }, "write", "containers:write"],
    stop: [{ component, grace_ms: 0 }, "write", "containers:write"],
    restart: [{ component }, "write", "containers:write"],
    kill: [{ component, signal: "SIGTERM" }, "write", "containers:write"],
    pause: [{ component }, "write", "containers:write"],
    unpause: [{ component }, "write", "containers:write"],
    exec: [{ component, argv: ["sh", "-c", "true"] }, "destructive", "containers:destructive"],
    update: [{ component, cpus: 1 }, "write", "containers:write"],
    recreate: [{ component }, "destructive", "containers:destructive"],
    connect: [{ component }, "write", "containers:write"],
    disconnect: [{ component }, "write", "containers:write"],
    server_resources: [{}, "read", "server:read"],
    ticket_hold: [{ ticket: 1 }, "write", "tickets:hold"],
    ticket_unhold: [{ ticket: 1 }, "write", "tickets:hold"],
  };

  test.each(Object.keys(COMMANDS) as CommandName[])(
    "%s: its effect, its scope, a time-out, strict parameters",
    (name) => {
      const spec = commandSpec(name);
      const [params, effect, scope] = GOOD[name];
      const read = spec.params.parse(params);
      expect([spec.effect(read), spec.scope(read)]).toEqual([effect, scope]);
      expect(spec.timeoutMs(read)).toBeGreaterThan(0);
      expect(spec.params.safeParse({ ...params, more: 1 }).success).toBe(false);
      expect(SCOPES).toContain(spec.scope(read));
    },
  );

  test("exec that only looks is a read; own keys only", () => {
    const spec = commandSpec("exec");
    expect(spec.effect(spec.params.parse({ component, argv: ["df", "-h"] }))).toBe("read");
    expect(["__proto__", "constructor", "toString"].some((name) => isCommand(name))).toBe(false);
  });

  test("a token that names no scopes: people cannot destroy, the agent sees neither tickets nor sessions", () => {
    expect(DEFAULT_SCOPES.status_panel).not.toContain("containers:destructive");
    expect(
      DEFAULT_SCOPES.compose_agent.filter((scope) => /^(tickets|sessions|approvals|watchdog|events)/.test(scope)),
    ).toEqual([]);
  });

  test("a command fits the approved call of a tool only if it asks for exactly that", () => {
    const fits = (name: CommandName, params: object, tool: string, input: object): boolean =>
      isCommandOfTool(name, commandSpec(name).params.parse(params), {
        tool,
        input: { reason: "because of this", ...input },
      });
    expect(fits("stop", { component, grace_ms: 3_000 }, "container_stop", { component, grace_seconds: 3 })).toBe(true);
    expect(fits("stop", { component }, "container_stop", { component, grace_seconds: 3 })).toBe(false);
    expect(fits("kill", { component }, "container_kill", { component })).toBe(true);
    expect(fits("kill", { component, signal: "SIGTERM" }, "container_kill", { component })).toBe(false);
    expect(fits("stop", { component }, "container_restart", { component })).toBe(false);
    expect(fits("stop", { component: "pd0" }, "container_stop", { component })).toBe(false);
    const argv = ["rm", "/data/x"];
    expect(
      fits("exec", { component, argv, timeout_ms: 5_000, max_bytes: 10 }, "container_exec", { component, argv }),
    ).toBe(true);
    expect(fits("exec", { component, argv: ["rm", "/data"] }, "container_exec", { component, argv })).toBe(false);
    expect(fits("update", { component, cpus: null }, "container_update", { component, cpus: null })).toBe(true);
    expect(fits("update", { component, cpus: 2, memory_bytes: 1e9 }, "container_update", { component, cpus: 2 })).toBe(
      false,
    );
    expect(fits("connect", { component, aliases: ["a"] }, "network_connect", { component, aliases: ["a"] })).toBe(true);
    expect(fits("stop", { component }, "pd_request", { component })).toBe(false);
  });
});

test("the API's document has every command's parameters, and a schema for every body", () => {
  const document = openApi("1") as {
    paths: Record<string, Record<string, { requestBody?: unknown }>>;
    components: { schemas: object };
  };
  for (const name of Object.keys(COMMANDS)) expect(document.components.schemas).toHaveProperty(`Params_${name}`);
  for (const [path, methods] of Object.entries(document.paths))
    if (methods["post"] !== undefined) expect(methods["post"].requestBody, path).toBeDefined();
});
