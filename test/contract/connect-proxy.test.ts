import { request, type Server } from "node:http";
import { once } from "node:events";
import { connect, createServer as tcpServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { jsonLog, silentLog } from "../../harness/base/log.ts";
import { allowedHosts } from "../../harness/control/proxy/allowed-hosts.ts";
import { connectProxy } from "../../harness/control/proxy/connect-proxy.ts";

const closing: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of closing.splice(0)) server.close();
});

async function listening<T extends Server | ReturnType<typeof tcpServer>>(server: T): Promise<number> {
  closing.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Something that answers in capitals. */
const shouting = () =>
  listening(tcpServer((socket) => socket.on("data", (data) => socket.write(String(data).toUpperCase()))));

async function proxyTo(...allowed: string[]): Promise<number> {
  return await listening(connectProxy({ allowed, maxTunnels: 2 }, silentLog));
}

/** The status of a CONNECT, and the tunnel where there is one. */
function tunnel(proxy: number, target: string): Promise<{ readonly status: number; readonly socket: Socket }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: proxy, method: "CONNECT", path: target });
    asked.on("connect", (answer, socket: Socket) => resolve({ status: answer.statusCode ?? 0, socket }));
    asked.on("error", reject).end();
  });
}

describe("the way to the model", () => {
  test("a tunnel to an allowed host carries bytes both ways, and ends with either end", async () => {
    const target = `127.0.0.1:${await shouting()}`;
    const { status, socket } = await tunnel(await proxyTo(target), target);
    expect(status).toBe(200);
    socket.write("hello");
    expect(String((await once(socket, "data"))[0])).toBe("HELLO");
    socket.end();
    await once(socket, "close");
  });

  test("every other host, port and method is refused", async () => {
    const port = await shouting();
    const proxy = await proxyTo(`127.0.0.1:${port}`);
    for (const target of [`127.0.0.1:${port + 1}`, `localhost:${port}`, "169.254.169.254:80", "127.0.0.1", `${port}`])
      expect((await tunnel(proxy, target)).status, target).toBe(403);
    const plain = await fetch(`http://127.0.0.1:${proxy}/`);
    expect([plain.status, plain.headers.get("allow")]).toEqual([405, "CONNECT"]);
  });

  test("a host that does not answer is 502; more tunnels than it holds are 503", async () => {
    const server = tcpServer();
    const gone = await listening(server);
    server.close();
    const port = await shouting();
    const proxy = await proxyTo(`127.0.0.1:${gone}`, `127.0.0.1:${port}`);
    expect((await tunnel(proxy, `127.0.0.1:${gone}`)).status).toBe(502);
    const open = await Promise.all([tunnel(proxy, `127.0.0.1:${port}`), tunnel(proxy, `127.0.0.1:${port}`)]);
    expect(open.map(({ status }) => status)).toEqual([200, 200]);
    expect((await tunnel(proxy, `127.0.0.1:${port}`)).status).toBe(503);
    for (const { socket } of open) socket.destroy();
  });

  test("garbage and a client that leaves in the middle do it no harm", async () => {
    const target = `127.0.0.1:${await shouting()}`;
    const proxy = await proxyTo(target);
    for (const said of [
      "\u0016\u0003\u0001",
      "CONNECT\r\n\r\n",
      `CONNECT ${target} HTTP/1.1\r\n\r\n`,
      "x".repeat(20_000),
    ]) {
      const socket = connect(proxy, "127.0.0.1").on("error", () => {});
      socket.write(said, () => socket.destroy());
      await once(socket, "close");
    }
    expect((await tunnel(proxy, target)).status).toBe(200);
  });

  test("who was refused, or whose tunnel is over, and does not hang up is hung up on", async () => {
    const upstream = tcpServer((socket) => void socket.end("bye"));
    const target = `127.0.0.1:${await listening(upstream)}`;
    const proxy = await listening(connectProxy({ allowed: [target], maxTunnels: 1, promptMs: 200 }, silentLog));
    for (const asked of ["elsewhere:443", target, target]) {
      // Half open, as somebody who only takes.
      const silent = connect({ port: proxy, host: "127.0.0.1", allowHalfOpen: true });
      silent.write(`CONNECT ${asked} HTTP/1.1\r\nhost: ${asked}\r\n\r\n`);
      let said = "";
      silent.on("data", (data) => (said += String(data)));
      await once(silent, "end");
      expect(said).toMatch(asked === target ? /^HTTP\/1.1 200 .*bye$/s : /^HTTP\/1.1 403 /);
      // The other end has let go: writing into it is answered with a reset.
      const broken = new Promise((resolve) => silent.on("error", resolve).on("close", resolve));
      const writing = setInterval(() => silent.write("x"), 50);
      await broken;
      clearInterval(writing);
    }
  });

  test("one target that is refused again and again is a few lines in the log", async () => {
    const lines: string[] = [];
    const log = jsonLog({ stream: { write: (line: string) => void lines.push(line) } });
    const proxy = await listening(connectProxy({ allowed: [], promptMs: 200 }, log));
    for (let n = 0; n < 40; n++) expect((await tunnel(proxy, "elsewhere:443")).status).toBe(403);
    expect(lines.map((line) => (JSON.parse(line) as { times: number }).times)).toEqual([1, 2, 4, 8, 16, 32]);
  });

  test("which hosts: the model's API by default, another by its variable, Vault where there is one", () => {
    expect(allowedHosts({})).toEqual(["api.anthropic.com:443"]);
    expect(
      allowedHosts({ ANTHROPIC_BASE_URL: "https://Gateway.example/v1", VAULT_ADDRESS: "https://vault:8200" }),
    ).toEqual(["gateway.example:443", "vault:8200"]);
    expect(allowedHosts({ ANTHROPIC_BASE_URL: "http://10.0.0.1:4000", VAULT_ADDRESS: "" })).toEqual(["10.0.0.1:4000"]);
    expect(() => allowedHosts({ ANTHROPIC_BASE_URL: "gateway" })).toThrow(
      "ANTHROPIC_BASE_URL must be an http or https URL",
    );
  });
});
