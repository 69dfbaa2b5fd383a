import { Server } from "@grpc/grpc-js";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import { nodeHttp } from "../../subjects/common/link/http-request.ts";
import { openLinkRules, type LinkRules } from "../../subjects/common/link/link-rules.ts";
import { NodeGrpcClient } from "../../subjects/common/link/node-grpc-client.ts";
import { PeerLink } from "../../subjects/common/link/peer-link.ts";
import { listenOnePort, type OnePortServer } from "../../subjects/common/one-port/one-port-server.ts";
import { pdService } from "../../subjects/tikv/proto/load.ts";

let folder: string;
let server: OnePortServer;
let serverRules: LinkRules;
let clientRules: LinkRules;
let frames: string[];
let senders: string[];
let onFrame: () => void = () => {};

const cut = (rules: unknown[]) => {
  writeFileSync(join(folder, "next"), JSON.stringify({ version: 1, rules }));
  renameSync(join(folder, "next"), join(folder, "links.json"));
};

const ruleChange = (rules: LinkRules) =>
  new Promise<void>((resolve) => {
    const stop = rules.onChange(() => {
      stop();
      resolve();
    });
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "one-port-"));
  cut([]);
  const open = (self: string) =>
    openLinkRules({ LINK_RULES: join(folder, "links.json") }, { self, clock: systemClock, log: silentLog });
  serverRules = open("b");
  clientRules = open("a");
  frames = [];
  senders = [];
  const grpc = new Server();
  grpc.addService({ AllocID: pdService["AllocID"]!, Tso: pdService["Tso"]! }, {
    AllocID: (call: any, done: any) => done(null, { id: `${Number(call.request.header.cluster_id) + 1}` }),
    Tso: (call: any) => {
      call.on("data", (request: any) => call.write({ count: request.count }));
      call.on("end", () => call.end());
    },
  } as never);
  server = await listenOnePort({
    host: "127.0.0.1",
    port: 0,
    rules: serverRules,
    log: silentLog,
    grpc,
    http: (request, reply) => void request.on("data", () => {}).on("end", () => reply.end(`${request.method} ok`)),
    peer: async (hello, received) => {
      for await (const frame of received) {
        senders.push(hello.name);
        frames.push(frame.toString());
        onFrame();
      }
    },
  });
});

afterEach(async () => {
  await server.close();
  serverRules[Symbol.dispose]();
  clientRules[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const url = () => `http://127.0.0.1:${server.port}/x`;
const frame = (count: number) =>
  new Promise<void>((resolve) => {
    onFrame = () => frames.length >= count && resolve();
    onFrame();
  });

test("HTTP, gRPC and frames between nodes share a port", async ({ signal }) => {
  for (const method of ["GET", "POST", "PUT"]) {
    const reply = await nodeHttp({ url: url(), method, body: Buffer.from("{}") }, clientRules, signal);
    expect(reply.body.toString()).toBe(`${method} ok`);
  }
  await using client = new NodeGrpcClient({ host: "127.0.0.1", port: server.port }, clientRules);
  expect(await client.unary(pdService["AllocID"]!, { header: { cluster_id: "4" } }, signal)).toMatchObject({ id: "5" });
  await using stream = await client.bidi(pdService["Tso"]!, signal);
  const counts: number[] = [];
  stream.write({ count: 1 });
  for await (const response of stream.responses) {
    counts.push((response as { count: number }).count);
    if (counts.length === 3) break;
    stream.write({ count: counts.length + 1 });
  }
  expect(counts).toEqual([1, 2, 3]);
  await using link = new PeerLink({
    target: { host: "127.0.0.1", port: server.port, peer: "b" },
    hello: { name: "a", cluster: "1" },
    rules: clientRules,
    clock: systemClock,
    log: silentLog,
  });
  link.send(Buffer.from("hello"));
  await frame(1);
  expect([senders, frames]).toEqual([["a"], ["hello"]]);
});

test("a held node takes connections and answers nobody until the rule goes", async ({ signal }) => {
  const held = ruleChange(serverRules);
  cut([{ component: "b", peers: null }]);
  await held;
  const answer = fetch(url(), { signal });
  const early = await Promise.race([
    answer.then(() => "answered"),
    systemClock.sleep(300, signal).then(() => "silent"),
  ]);
  expect(early).toBe("silent");
  cut([]);
  expect((await answer).status).toBe(200);
});

test("a call over a held connection ends when its caller gives up", async ({ signal }) => {
  await using client = new NodeGrpcClient({ host: "127.0.0.1", port: server.port, peer: "b" }, clientRules);
  await client.unary(pdService["AllocID"]!, { header: { cluster_id: "1" } }, signal);
  const held = Promise.all([ruleChange(serverRules), ruleChange(clientRules)]);
  cut([{ component: "b", peers: null }]);
  await held;
  const impatient = AbortSignal.timeout(50);
  await expect(client.unary(pdService["AllocID"]!, { header: { cluster_id: "1" } }, impatient)).rejects.toMatchObject({
    name: "TimeoutError",
  });
  await using stream = await client.bidi(pdService["Tso"]!, AbortSignal.timeout(50));
  stream.write({ count: 1 });
  await expect(Array.fromAsync(stream.responses)).rejects.toThrow();
});

test("a rule between two nodes stops their frames and not a client", async ({ signal }) => {
  await using link = new PeerLink({
    target: { host: "127.0.0.1", port: server.port, peer: "b" },
    hello: { name: "a", cluster: "1" },
    rules: clientRules,
    clock: systemClock,
    log: silentLog,
  });
  link.send(Buffer.from("1"));
  await frame(1);
  const both = Promise.all([ruleChange(serverRules), ruleChange(clientRules)]);
  cut([{ component: "a", peers: ["b"] }]);
  await both;
  link.send(Buffer.from("2"));
  expect((await fetch(url(), { signal })).status).toBe(200);
  expect(frames).toEqual(["1"]);
  cut([]);
  await frame(2);
  expect(frames).toEqual(["1", "2"]);
});

test("a link comes back after its peer was away", async ({ signal }) => {
  const port = server.port;
  const states: boolean[] = [];
  await using link = new PeerLink({
    target: { host: "127.0.0.1", port, peer: "b" },
    hello: { name: "a", cluster: "1" },
    rules: clientRules,
    clock: systemClock,
    log: silentLog,
    onState: (connected) => states.push(connected),
  });
  link.send(Buffer.from("1"));
  await frame(1);
  await server.close();
  server = await listenOnePort({
    host: "127.0.0.1",
    port,
    rules: serverRules,
    log: silentLog,
    peer: async (_, received) => {
      for await (const each of received) {
        frames.push(each.toString());
        onFrame();
      }
    },
  });
  while (!states.includes(false)) await systemClock.sleep(10, signal);
  link.send(Buffer.from("2"));
  await frame(2);
  expect(frames).toEqual(["1", "2"]);
});
