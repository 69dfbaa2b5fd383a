import type { Cluster } from "../cluster.ts";
import { regionFromWire, type Region, type WirePeer, type WireRegion } from "../regions.ts";
import { OPERATOR_STATUS } from "../schedule/operator.ts";
import { ERROR, HeaderError, type Calls, type GrpcParts, type Methods } from "./calls.ts";

/** pdpb.OperatorStatus, by ours. */
const WIRE_STATUS: Readonly<Record<number, number>> = {
  [OPERATOR_STATUS.started]: 4,
  [OPERATOR_STATUS.success]: 0,
  [OPERATOR_STATUS.canceled]: 2,
  [OPERATOR_STATUS.replaced]: 3,
  [OPERATOR_STATUS.expired]: 2,
  [OPERATOR_STATUS.timeout]: 1,
};

interface ScatterRequest {
  readonly region_id: string;
  readonly region: WireRegion | null;
  readonly leader: WirePeer | null;
  readonly group: string;
  readonly regions_id: readonly string[];
}

/** Moving and cutting regions, as tools ask for it. */
export function operatingCalls(calls: Calls, { cluster, coordinator }: GrpcParts): Methods {
  const split = async (keys: readonly Buffer[]) => {
    const wanted = keys.map((key) => key.toString("hex"));
    const made = wanted.length === 0 ? [] : await coordinator.splitAt(wanted);
    return { made, percentage: wanted.length === 0 ? 100 : Math.floor((made.length * 100) / wanted.length) };
  };
  const scatter = (regions: readonly Region[], group: string): number => {
    const { failed, done } = coordinator.scatter(regions, group);
    return failed === 0 ? 100 : 100 - Math.floor((100 * failed) / (failed + done));
  };
  return {
    GetOperator: calls.leader(({ region_id }: { region_id: string }) => operatorOf(cluster, Number(region_id))),
    ScatterRegion: calls.leader((request: ScatterRequest) => ({
      finished_percentage: String(scatter(scattered(cluster, request), request.group)),
    })),
    SplitRegions: calls.leader(async (request: { split_keys: readonly Buffer[] }) => {
      const { made, percentage } = await split(request.split_keys);
      return { finished_percentage: String(percentage), regions_id: made.map(({ id }) => String(id)) };
    }),
    SplitAndScatterRegions: calls.leader(async (request: { split_keys: readonly Buffer[]; group: string }) => {
      const { made, percentage } = await split(request.split_keys);
      return {
        split_finished_percentage: String(percentage),
        scatter_finished_percentage: String(scatter(made, request.group)),
        regions_id: made.map(({ id }) => String(id)),
      };
    }),
  };
}

function operatorOf({ operators }: Cluster, regionId: number) {
  const found = operators.get(regionId) ?? operators.records().find((each) => each.regionId === regionId);
  if (found === undefined) throw new HeaderError(ERROR.REGION_NOT_FOUND, "Not Found");
  return {
    region_id: String(regionId),
    desc: Buffer.from(found.desc),
    kind: Buffer.from(found.kinds.join(",")),
    status: WIRE_STATUS[found.status],
  };
}

/** Many by id, or, as older clients ask, one that may come along. */
function scattered({ regions }: Cluster, request: ScatterRequest): Region[] {
  if (request.regions_id.length > 0) return request.regions_id.flatMap((id) => regions.get(Number(id)) ?? []);
  const known = regions.get(Number(request.region_id));
  if (known !== undefined) return [known];
  if (request.region !== null) return [regionFromWire(request.region, request.leader)];
  throw new HeaderError(ERROR.REGION_NOT_FOUND, `region ${request.region_id} not found`);
}
