import type { SafePoints } from "../state.ts";
import type { Calls, GrpcParts, Methods } from "./calls.ts";

/** Of whoever collects garbage, when nobody has said anything (tikv/pd:pkg/storage/endpoint/gc_safe_point.go). */
const GC_WORKER = "gc_worker";
const FOR_EVER_S = Number.MAX_SAFE_INTEGER;

type Service = SafePoints["services"][number];

/** Below which timestamp versions may go: nothing here has versions, but clients of transactions ask at their start. */
export function safePointCalls(calls: Calls, { cluster }: GrpcParts): Methods {
  const known = () => cluster.state.safePoints;
  const keep = (safePoints: SafePoints) => cluster.decide({ kind: "safe-points", safePoints });
  const nowS = () => Math.floor(cluster.now() / 1_000);
  return {
    GetGCSafePoint: calls.leader(() => ({ safe_point: known().gc })),
    UpdateGCSafePoint: calls.leader(async ({ safe_point: wanted }: { safe_point: string }) => {
      // It never goes back.
      if (BigInt(wanted) > BigInt(known().gc)) await keep({ ...known(), gc: wanted });
      return { new_safe_point: known().gc };
    }),
    UpdateServiceGCSafePoint: calls.leader(async (request: { service_id: Buffer; TTL: string; safe_point: string }) => {
      const id = request.service_id.toString("utf8");
      const ttlS = Number(request.TTL);
      const others = alive(known().services, nowS()).filter((service) => service.id !== id);
      if (ttlS <= 0) await keep({ ...known(), services: others });
      else if (BigInt(request.safe_point) >= BigInt(least(alive(known().services, nowS())).safePoint)) {
        const own = { id, safePoint: request.safe_point, expiresAtS: Math.min(FOR_EVER_S, nowS() + ttlS) };
        await keep({ ...known(), services: [...others, own] });
      }
      const min = least(alive(known().services, nowS()));
      return {
        service_id: Buffer.from(min.id),
        TTL: String(min.expiresAtS - nowS()),
        min_safe_point: min.safePoint,
      };
    }),
    GetExternalTimestamp: calls.leader(() => ({ timestamp: known().external })),
    SetExternalTimestamp: calls.leader(async ({ timestamp }: { timestamp: string }) => {
      await keep({ ...known(), external: timestamp });
      return {};
    }),
    GetMinTS: calls.leader(async () => {
      const { physical, logical } = await cluster.tso.next(1);
      return { timestamp: { physical: String(physical), logical: String(logical), suffix_bits: 0 } };
    }),
  };
}

const alive = (services: readonly Service[], nowS: number): Service[] =>
  services.filter(({ expiresAtS }) => expiresAtS > nowS);

function least(services: readonly Service[]): Service {
  const all = services.some(({ id }) => id === GC_WORKER)
    ? services
    : [...services, { id: GC_WORKER, safePoint: "0", expiresAtS: FOR_EVER_S }];
  return all.reduce((min, each) => (BigInt(each.safePoint) < BigInt(min.safePoint) ? each : min));
}
