import { fileTokens, openTokenCache, rotateToken } from "../harness/control/tokens/index.ts";
import type { Plane } from "../harness/control/planes.ts";
import type { Deps } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { startControl } from "../test/support/control-server.ts";
import { ScriptedEngine } from "../test/support/scripted-engine.ts";
import type { Measure } from "./measure.ts";

const PLANE: Plane = "compose_agent";
const CLIENTS = 4;
const PHASE_MS = 8_000;
const ROTATIONS = 20;

interface Phase {
  readonly latencies: readonly number[];
  readonly refused: number;
}

/**
 * Signed commands of several clients at full speed, first with the token left alone, then while it is rotated 20 times
 * by another program. Half of the clients hear of a rotation before the server does, the others not at all. The engine
 * is one in memory: what is measured is everything else.
 */
export async function benchRotation(deps: Deps): Promise<readonly Measure[]> {
  const signal = new AbortController().signal;
  const engine = new ScriptedEngine(deps.clock, [{ component: "tikv0" }, { component: "tikv1" }]);
  await using control = await startControl({ engine, limits: { requestsPerSecond: 1e6, burst: 1e6 } });
  const provider = () => fileTokens(`${control.folder}/tokens`, deps);
  await using deaf = await openTokenCache({ provider: provider(), planes: [PLANE] }, deps, signal);
  await using alert = await openTokenCache({ provider: provider(), planes: [PLANE] }, deps, signal);
  const clients = Array.from({ length: CLIENTS }, (_, n) =>
    control.client(PLANE, {
      token: () => (n % 2 === 0 ? deaf : alert).current(PLANE),
      refreshToken: (asked) => alert.refresh(PLANE, asked),
    }),
  );

  const phase = async (meanwhile: () => Promise<void>): Promise<Phase> => {
    const latencies: number[] = [];
    let [going, refused] = [true, 0];
    const all = Promise.all(
      clients.map(async (client) => {
        while (going) {
          const began = deps.clock.monotonic();
          await client.execute("list", {}, {}, signal).catch(() => refused++);
          latencies.push(deps.clock.monotonic() - began);
        }
      }),
    );
    await meanwhile();
    going = false;
    await all;
    return { latencies, refused };
  };
  await phase(() => deps.clock.sleep(PHASE_MS / 4));
  const still = await phase(() => deps.clock.sleep(PHASE_MS));
  const rotated = await phase(async () => {
    for (let n = 0; n < ROTATIONS; n++) {
      await rotateToken(provider(), PLANE, {}, deps, signal);
      await alert.refresh(PLANE, signal);
      await deps.clock.sleep(PHASE_MS / ROTATIONS);
    }
  });
  return [
    {
      name: `commands, ${CLIENTS} clients, token left alone`,
      value: still.latencies.length / (PHASE_MS / 1e3),
      unit: "1/s",
    },
    {
      name: `the same, token rotated ${ROTATIONS} times`,
      value: rotated.latencies.length / (PHASE_MS / 1e3),
      unit: "1/s",
    },
    { name: "command, token left alone, p50", value: quantile(still.latencies, 0.5), unit: "ms" },
    { name: "command, while rotated, p50", value: quantile(rotated.latencies, 0.5), unit: "ms" },
    { name: "command, token left alone, p99", value: quantile(still.latencies, 0.99), unit: "ms" },
    { name: "command, while rotated, p99", value: quantile(rotated.latencies, 0.99), unit: "ms" },
    { name: "requests refused", value: still.refused + rotated.refused, unit: "" },
  ];
}
