import type { Endpoints } from "../../../harness/protocol.ts";

export interface BriefingFacts {
  readonly endpoints: Endpoints;
  readonly scrapeIntervalMs: number;
}

/** What whoever is on call would know of this cluster beforehand. Says nothing about what may be wrong. */
export function briefing({ endpoints, scrapeIntervalMs }: BriefingFacts): string {
  const components = Object.entries(endpoints.byComponent).map(
    ([name, services]) =>
      `- ${name}: ${Object.entries(services)
        .map(([service, address]) => `${service} ${address}`)
        .join(", ")}`,
  );
  return `# The cluster

A TiKV cluster: a distributed key-value store. PD members (pd*) keep the metadata, hand out timestamps and schedule
replicas; they need a majority of themselves. Stores (tikv*) hold the data: the key space is cut into regions, each with
three replicas on three stores, one of them its leader, which serves all reads and writes of the region. A region works
while two of its replicas do. Clients use the raw key-value API: they ask PD where a key's leader is and then talk to
that store.

Components and addresses:
${components.join("\n")}

PD gives stores ids of its own: map them by address (GET /stores). Zero values are left out of PD's answers.

# Objectives

- 99 % of client operations succeed; p99 latency below 1 s.
- Clients are measured in Prometheus: client_requests_total{op,outcome} and the histogram
  client_request_duration_seconds, job "client". Stores: job "tikv". PD: job "pd".
- ${endpoints.prometheusUrl === null ? "There is no Prometheus here." : `Prometheus scrapes every ${scrapeIntervalMs / 1_000} s: what it shows is up to that old; a target that is gone has no new samples. Its alerting rules, where it has any, are a second opinion: prometheus_alerts shows what fires, and since when.`}

# How long things take

- A store sends a heartbeat every 10 s; PD calls it Disconnected after 20 s without one, Down after 30 min.
- Regions elect new leaders 10 to 20 s after a store is gone.
- A new PD leader needs 5 to 15 s; for some seconds it may show every store as Disconnected.
- A PD member that was cut off needs up to 30 s to rejoin.
- Leaders return to a store within minutes after it is back.
- A process that ended by itself is started again by its restart policy, later each time. One that was stopped or killed
  from outside stays down.

# What cannot be undone

- Removing a PD member or a store (DELETE /members/…, DELETE /store/…; with force at once and for good).
- POST /admin/unsafe/…, force-new-cluster, pd-recover: they throw data away.
- Emptying or deleting a data folder or a volume. Recreating a container loses its log.
- Changing max-replicas or placement rules: PD deletes or moves replicas right away.

With three stores and three replicas no store can be spared: one that is gone must come back, it cannot be replaced.
Before a change make sure that no majority is lost by it; restore a lost majority first (PD, then stores), the rest after.
`;
}
