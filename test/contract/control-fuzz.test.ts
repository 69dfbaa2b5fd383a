import { once } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { startControl, type TestControl } from "../support/control-server.ts";
import { RequestFuzzer, type Fuzzed } from "../support/fuzzed-requests.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { send, signed } from "../support/signed-request.ts";

/** `CONTROL_FUZZ=100000 npx vitest run --project contract test/contract/control-fuzz.test.ts` */
const REQUESTS = Number(process.env["CONTROL_FUZZ"] ?? 4_000);
const KEY = process.env["CONTROL_FUZZ_KEY"] ?? "1";
const AT_ONCE = 24;
const BODY_BYTES = 4_096;

test(
  "forged, replayed, skewed, oversized and malformed requests: none is carried out, none is answered 5xx, nothing breaks",
  { timeout: 60_000 + REQUESTS * 20 },
  async () => {
    const engine = new ScriptedEngine(systemClock, [{ component: "tikv1" }, { component: "pd0" }]);
    const failures: unknown[] = [];
    const log = { ...silentLog, error: (event: string, fields = {}) => void failures.push({ event, ...fields }) };
    const limits = { bodyBytes: BODY_BYTES, requestsPerSecond: 1e6, burst: 1e6 };
    const control = await startControl({ engine, log, limits });
    const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
    onTestFinished(async () => {
      agent.destroy();
      await control[Symbol.asyncDispose]();
    });
    const plain = (target: string) => send(control, { method: "GET", target, headers: {}, body: "" }, agent);
    const fuzzer = new RequestFuzzer(
      control,
      (await plain("/openapi.json")).json,
      BODY_BYTES,
      seededRandom(`fuzz/${KEY}`),
    );
    const tally: Record<string, number> = {};
    let left = REQUESTS;
    const work = async (): Promise<void> => {
      while (left-- > 0) {
        const what = fuzzer.next();
        const status = await sent(control, what, agent);
        tally[`${what.kind} ${status}`] = (tally[`${what.kind} ${status}`] ?? 0) + 1;
        const label = `${what.kind}: ${"bytes" in what ? what.bytes.toString("latin1") : JSON.stringify(what.request)}`;
        expect(status, label).toBeLessThan(500);
        // What may be refused for more than one reason only has to be refused.
        const wanted = "bytes" in what ? null : what.expect;
        if (wanted !== null) expect(wanted, label).toContain(status);
        fuzzer.answered(what);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(engine.acts).toEqual([]);
    expect(failures).toEqual([]);
    expect((await plain("/api/v1/diagnostics/commands")).json).toMatchObject({ total_count: 0 });
    // It is as well as before: a good request is carried out.
    const good = signed(control, "/api/v1/commands/execute", {
      command_id: "c",
      name: "restart",
      params: { component: "tikv1" },
    });
    expect((await send(control, good, agent)).json).toMatchObject({ status: "success" });
    expect(engine.acts).toEqual(["restart tikv1"]);
    process.stdout.write(`${REQUESTS} requests: ${JSON.stringify(tally)}\n`);
  },
);

async function sent(control: TestControl, what: Fuzzed, agent: Agent): Promise<number> {
  if ("request" in what) return (await send(control, what.request, agent)).status;
  const { hostname, port } = new URL(control.server.url ?? "");
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (answer += chunk));
  // Whoever sends garbage is hung up on.
  socket.on("error", () => undefined);
  const closed = once(socket, "close");
  socket.end(what.bytes);
  await closed;
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}
