import { status } from "@grpc/grpc-js";
import { asServiceError, GrpcRefusal, type Calls, type GrpcParts, type Request, type Stream } from "./calls.ts";

type TsoRequest = Request & { readonly count: number };

/** Timestamps on a stream; every client opens one at its start. */
export function tsoStream(calls: Calls, { cluster, leadership, observed }: GrpcParts) {
  return (call: Stream<TsoRequest, unknown>): void => {
    // One after the other: replies must be in the order of the requests.
    let before = Promise.resolve();
    const reply = async ({ header, count }: TsoRequest) => {
      const refused = calls.foreign(header);
      if (refused !== null) throw refused;
      if (!leadership.serving) {
        observed.tsoEvent("not_leader");
        throw new GrpcRefusal(
          status.UNKNOWN,
          "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, requested pd is not leader of cluster",
        );
      }
      const { physical, logical } = await cluster.tso.next(count);
      const timestamp = { physical: String(physical), logical: String(logical), suffix_bits: 0 };
      call.write({ header: calls.header(), count, timestamp });
    };
    call.on("data", (request) => {
      before = before.then(() => reply(request).catch((error: unknown) => call.destroy(asServiceError(error))));
    });
    call.on("end", () => void before.then(() => call.end()));
    call.on("error", () => {});
  };
}
