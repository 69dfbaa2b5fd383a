import { status as Code, type ServerWritableStream, type sendUnaryData } from "@grpc/grpc-js";

interface HealthRequest {
  readonly service: string;
}

/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const STATUS = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;

type Watcher = ServerWritableStream<HealthRequest, object>;

/** `kvrpcpb.HealthFeedback` as the loader wants it. */
export interface HealthFeedback {
  readonly store_id: string;
  readonly feedback_seq_no: string;
  readonly slow_score: number;
}

/** What a store says of its health to clients: `grpc.health.v1`, and the feedback that comes with batches. */
export class StoreHealth {
  readonly #storeId: number;
  readonly #slowScore: () => number;
  readonly #watchers = new Set<Watcher>();
  #nextFeedback: number;
  #serving = true;

  /** @param firstFeedback number of the first feedback: the epoch milliseconds of the start. */
  constructor(storeId: number, firstFeedback: number, slowScore: () => number) {
    this.#storeId = storeId;
    this.#nextFeedback = firstFeedback;
    this.#slowScore = slowScore;
  }

  get feedback(): HealthFeedback {
    return {
      store_id: String(this.#storeId),
      feedback_seq_no: String(this.#nextFeedback++),
      slow_score: Math.round(this.#slowScore()),
    };
  }

  /** From now on NOT_SERVING: the store is about to close its port. Resolves when the watchers have been told. */
  async stop(): Promise<void> {
    this.#serving = false;
    const tell = (watcher: Watcher): Promise<void> =>
      new Promise((resolve) => {
        watcher.once("error", () => resolve());
        watcher.once("cancelled", () => resolve());
        watcher.write({ status: STATUS.notServing }, () => resolve());
      });
    await Promise.all([...this.#watchers].map(tell));
  }

  /** For `healthService`. Only the server as a whole, "", is known. */
  get handlers() {
    return {
      Check: ({ request }: { readonly request: HealthRequest }, done: sendUnaryData<object>): void => {
        if (request.service === "") return done(null, { status: this.#status });
        done({ code: Code.NOT_FOUND, message: "unknown service" } as never);
      },
      Watch: (call: Watcher): void => {
        call.write({ status: call.request.service === "" ? this.#status : STATUS.serviceUnknown });
        this.#watchers.add(call);
        call.on("cancelled", () => this.#watchers.delete(call));
        call.on("error", () => this.#watchers.delete(call));
      },
    };
  }

  get #status(): number {
    return this.#serving ? STATUS.serving : STATUS.notServing;
  }
}
