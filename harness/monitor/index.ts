export type { MonitorEvent } from "./events.ts";
export { judgeOnce, runMonitor, type Monitored, type MonitorOptions } from "./run-monitor.ts";
export type { MonitorTickets } from "./ticket-keeper.ts";
export { trackKey, type Judged } from "./track.ts";
