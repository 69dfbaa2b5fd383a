import { spawn } from "node:child_process";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { faultKinds, makeFault } from "../../harness/faults/registry.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { Component, Deps, FaultSpec, OwnerEngine, SubjectInstance } from "../../harness/protocol.ts";
import { leftOut, type OfficialClient } from "../support/official-clients.ts";

type Cluster = Pick<SubjectInstance, "candidates" | "endpoints" | "waitReady"> & { readonly engine: OwnerEngine };

export interface OfficialClientSuite {
  /** Each is broken in the same way at the same time: most of a test is waiting for elections. */
  readonly clusters: readonly OfficialClientCluster[];
  /** All of them work at once, on every cluster. */
  readonly clients: () => readonly OfficialClient[];
  /** How one is started, before its own flags. */
  readonly command: (program: string) => readonly [string, ...string[]];
}

export interface OfficialClientCluster {
  readonly name: string;
  readonly cluster: () => Cluster;
  readonly deps: () => Deps;
  /** The PD members as the clients reach them. */
  readonly endpoints: () => readonly string[];
  /** How long the clients go on writing, one key after the other, and for how much of it something is broken. */
  readonly watchMs: number;
  readonly brokenMs: number;
}

const KEYS = 200;
const DONE = /ok: \d+ acknowledged writes read back/;
/** A client's own limit is 60 s more than twice its watch. */
const TEST_TIMEOUT_MS = 150_000;

/** What TiKV's official clients see while each kind of fault is made, and that they read back what was acknowledged. */
export function officialClientSuite(suite: OfficialClientSuite): void {
  const { clusters } = suite;
  const everywhere = (work: (on: OfficialClientCluster) => Promise<void>) => allToTheEnd(clusters.map(work));
  // The next one starts from a whole cluster.
  afterEach(
    async ({ signal }) => await everywhere(({ cluster }) => cluster().waitReady({ timeoutMs: 60_000 }, signal)),
    TEST_TIMEOUT_MS,
  );

  test("when all is well", { timeout: TEST_TIMEOUT_MS }, async ({ annotate }) => {
    await everywhere((on) => allWell(on, checkAll(on, 0), annotate));
  });

  if (leftOut !== null) test.skip(`the Rust client [not run here: ${leftOut}]`, () => {});

  // Whatever kinds there are: a new one is tried here without being named.
  const targets = [
    ...faultKinds.map((kind) => ({ kind, what: "the store that they write to", find: leaderOfClientsRegion })),
    { kind: "kill", what: "PD's leader", find: pdLeader },
  ];
  test.for(targets)("$kind of $what", { timeout: TEST_TIMEOUT_MS }, async ({ kind, find }, { annotate, signal }) => {
    await everywhere(async (on) => {
      const target = await find(on.cluster(), signal);
      const spec: FaultSpec = { kind, target, params: kind === "crash-loop" ? { untilDownMs: 1_000 } : {} };
      const fault = makeFault(spec, on.cluster().engine, on.deps());
      const all = checkAll(on, on.watchMs);
      // One that ends too early fails at its end, with its own words.
      await Promise.all(all.map(({ watching, ended }) => Promise.race([watching, ended.catch(() => {})])));
      try {
        await fault.inject(signal);
        expect(await fault.verify("in-effect", signal)).toBe(true);
        await systemClock.sleep(on.brokenMs);
      } finally {
        await fault.heal(AbortSignal.timeout(30_000));
      }
      await waitFor(() => fault.verify("gone", signal), {
        clock: systemClock,
        timeoutMs: 30_000,
        everyMs: 100,
        what: `${kind} to be gone`,
      });
      await allWell(on, all, annotate);
    });
  });

  const checkAll = (on: OfficialClientCluster, forMs: number): readonly Check[] =>
    suite.clients().map(({ name, program, flags }) => {
      const watch = forMs > 0 ? ["-watch", `${forMs}ms`] : [];
      const all = [...flags, "-n", String(KEYS), ...watch, on.endpoints().join()];
      return { name, ...check(name, suite.command(program), all) };
    });
}

async function allWell(
  { name: where }: OfficialClientCluster,
  checks: readonly Check[],
  annotate: (text: string) => unknown,
): Promise<void> {
  for (const { name, ended } of checks) {
    const said = await ended;
    await annotate(`${name}, ${where}: ${said}`);
    expect(said, `${name}, ${where}`).toMatch(DONE);
  }
}

/** Leaves nothing under way behind when one of them fails. @throws the first one's reason */
async function allToTheEnd(works: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) if (result.status === "rejected") throw result.reason;
}

interface Check {
  readonly name: string;
  readonly watching: Promise<void>;
  readonly ended: Promise<string>;
}

/** `watching` resolves when the first keys are written; `ended` with all output of a client that ended well. */
function check(
  name: string,
  [program, ...leading]: readonly [string, ...string[]],
  flags: readonly string[],
): Omit<Check, "name"> {
  const child = spawn(program, [...leading, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  const watching = Promise.withResolvers<void>();
  let output = "";
  let complaints = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (/^\d+ puts,/m.test(output)) watching.resolve();
  });
  child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      const said = output.split("\n").filter((line) => /^(\d+ puts|watched|ok:)/.test(line));
      if (code === 0) resolve(said.join("; "));
      else reject(new Error(`${name} ended with ${code}: ${said.join("; ")} ${complaints.slice(-2_000)}`));
    });
  });
  ended.catch(() => {});
  return { watching: watching.promise, ended };
}

async function pdLeader(cluster: Cluster, signal: AbortSignal): Promise<Component> {
  return (await cluster.candidates("pd-leader", signal))[0] as Component;
}

/** All the client's keys are in one region. */
async function leaderOfClientsRegion(cluster: Cluster, signal: AbortSignal): Promise<Component> {
  const pd = cluster.endpoints("host").byComponent[await pdLeader(cluster, signal)]?.["client"] ?? "";
  const ask = async (path: string) => (await fetch(`${pd}/pd/api/v1/${path}`, { signal })).json() as any;
  const { leader } = await ask("region/key/check-0");
  const { store } = await ask(`store/${leader.store_id}`);
  const stores = Object.entries(cluster.endpoints("network").byComponent);
  const found = stores.find(([, services]) => services["client"] === store.address)?.[0];
  if (found === undefined) throw new Error(`no component at ${store.address}`);
  return found as Component;
}
