import { createServer, type Server } from "node:net";
import { once } from "node:events";
import type { Random } from "../../base/random.ts";
import { HarnessError } from "../../base/errors.ts";

/** Below every system's ephemeral range: a client that retries a dead port there ends up connected to itself. */
const FIRST = 20_000;
const LAST = 29_999;
const BLOCK = 50;

export interface PortBlock {
  /** Bound by the instance's supervisor for as long as it lives: that is the claim, and the system drops it. */
  readonly guardPort: number;
  /** Ports after the guard, in order, free at the time of asking. */
  readonly ports: readonly number[];
}

/**
 * A block of which every port can be bound now. The claim itself is the guard port, which works across users, state
 * folders and crashes without any file; whoever loses a race for it gets `port-taken` and takes the next block.
 *
 * @throws HarnessError `port-taken` when no block is free.
 */
export async function freePortBlock(count: number, random: Random): Promise<PortBlock> {
  if (count >= BLOCK) throw new RangeError(`a block has ${BLOCK - 1} ports, not ${count}`);
  const blocks = Math.floor((LAST - FIRST + 1) / BLOCK);
  const offset = random.int(blocks);
  for (let step = 0; step < blocks; step++) {
    const guardPort = FIRST + ((offset + step) % blocks) * BLOCK;
    const ports = Array.from({ length: count }, (_, index) => guardPort + 1 + index);
    if (await allFree([guardPort, ...ports])) return { guardPort, ports };
  }
  throw new HarnessError("port-taken", `no ${count} free ports in a row between ${FIRST} and ${LAST}`);
}

/**
 * A block whose guard this process binds itself until it is disposed of: for programs that are told their port and
 * come up later, so that nobody who asks meanwhile is given the same one.
 *
 * @throws HarnessError `port-taken` when no block is free.
 */
export async function holdPortBlock(count: number, random: Random): Promise<PortBlock & AsyncDisposable> {
  for (let tries = 0; ; tries++) {
    const block = await freePortBlock(count, random);
    const guard = await bound(block.guardPort);
    if (guard !== null) return { ...block, [Symbol.asyncDispose]: () => closed(guard) };
    if (tries === 10) throw new HarnessError("port-taken", `port ${block.guardPort} on 127.0.0.1 is taken each time`);
  }
}

/** @throws HarnessError `port-taken` naming the first that is. */
export async function requireFree(ports: readonly number[]): Promise<void> {
  for (const port of ports)
    if (!(await isFree(port)))
      throw new HarnessError("port-taken", `port ${port} on 127.0.0.1 is taken; end what uses it or choose another`, {
        details: { port },
      });
}

async function allFree(ports: readonly number[]): Promise<boolean> {
  for (const port of ports) if (!(await isFree(port))) return false;
  return true;
}

/** Asks by really binding. */
async function isFree(port: number): Promise<boolean> {
  const server = await bound(port);
  if (server !== null) await closed(server);
  return server !== null;
}

/** Null = somebody has it. */
async function bound(port: number): Promise<Server | null> {
  const server = createServer();
  try {
    server.listen({ port, host: "127.0.0.1", exclusive: true });
    await once(server, "listening");
    return server;
  } catch {
    return null;
  }
}

async function closed(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}
