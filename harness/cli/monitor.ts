import { Command, InvalidArgumentError } from "commander";
import { tikvInvariants } from "../../subjects/tikv/invariants/index.ts";
import { tikvObserver } from "../../subjects/tikv/observe.ts";
import { namePdMembers } from "../../subjects/tikv/pd-names.ts";
import { isoTime } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";
import { judgeOnce, runMonitor, type Judged, type Monitored, type MonitorEvent } from "../monitor/index.ts";
import type { InstanceRecord } from "../engine/instances.ts";
import type { Observation } from "../protocol.ts";
import { attachedId, stableId } from "./attached-id.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { ticketPath, withTickets } from "./open-ticket-file.ts";
import { openStanding, standingInstance, takenDown } from "./standing-instance.ts";

interface Flags {
  readonly attach?: string;
  readonly pd?: readonly string[];
  readonly prometheus?: string;
  readonly interval?: number;
  readonly once?: true;
  readonly db?: string;
  readonly json?: true;
}

/** `lab monitor run`: watches a cluster and keeps its tickets, until Ctrl-C. Changes nothing in the cluster. */
export function monitorCommand(io: CliIo): Command {
  const command = new Command("monitor").description("watch a cluster, open and resolve tickets");
  command
    .command("run")
    .description(
      "until Ctrl-C; without --attach or --pd: the cluster of `lab subject up tikv`, for as long as it is there",
    )
    .option("--attach <project>", "a running cluster: its compose project")
    .option("--pd <urls>", "PD's client URLs, comma-separated; alone: a cluster without an engine to look at", urls)
    .option("--prometheus <url>", "its Prometheus")
    .option("--interval <ms>", "between two looks when nothing is going on; default 750", interval)
    .option("--once", "look once, print what holds and what does not, touch no ticket")
    .option("--db <file>", "ticket file; default ~/.operator/tickets.db")
    .option("--json", "one JSON object per line")
    .action(async (flags: Flags) => {
      const standing = flags.attach === undefined && flags.pd === undefined ? standingInstance(io) : null;
      await using watched = await open(flags, standing, io);
      await (flags.once === true ? once(watched, flags, io) : run(watched, standing, flags, io));
    });
  return command;
}

function urls(text: string): readonly string[] {
  const list = text.split(",").map((url) => url.trim());
  if (!list.every((url) => URL.canParse(/^https?:\/\//.test(url) ? url : `http://${url}`)))
    throw new InvalidArgumentError("e.g. http://127.0.0.1:2379,http://127.0.0.1:12379");
  return list;
}

function interval(text: string): number {
  const ms = Number(text);
  if (!Number.isInteger(ms) || ms < 100 || ms > 600_000) throw new InvalidArgumentError("milliseconds, 100 to 600000");
  return ms;
}

type Watched = Monitored<Observation> & AsyncDisposable;

async function open(flags: Flags, standing: InstanceRecord | null, io: CliIo): Promise<Watched> {
  const { attach, pd, prometheus } = flags;
  if (attach !== undefined) {
    const { attachDocker } = await import("../../subjects/tikv/adapter-docker.ts");
    const where = { ...(pd && { pdUrls: pd }), ...(prometheus !== undefined && { prometheusUrl: prometheus }) };
    const options = { engine: "docker" as const, project: attach, id: attachedId(attach), ...where };
    return await attachDocker(options, io.deps, io.signal);
  }
  if (pd !== undefined) return await withoutEngine(pd, prometheus ?? null, io);
  if (prometheus !== undefined)
    throw new HarnessError("usage", "--prometheus goes with --attach or --pd: what else is to be watched?");
  if (standing === null)
    throw new HarnessError(
      "not-found",
      "nothing to watch: start a cluster with `lab subject up tikv`, or name one with --attach <project> or --pd <urls>",
    );
  return await openStanding(standing, io);
}

async function withoutEngine(pdUrls: readonly string[], prometheusUrl: string | null, io: CliIo): Promise<Watched> {
  const members = await namePdMembers(pdUrls, io.deps, io.signal);
  return {
    id: stableId(`pd ${pdUrls.toSorted().join()}`),
    subject: "tikv",
    timeFactor: 1,
    invariants: tikvInvariants(),
    observe: tikvObserver({ pdMembers: members, prometheusUrl }, io.deps),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function once(watched: Watched, { json }: Flags, io: CliIo): Promise<void> {
  const { observation, judged } = await judgeOnce(watched, io.signal);
  if (judged.some(({ judgement }) => judgement.state === "violated")) io.setExitCode(EXIT.notPassed);
  if (json !== true) return io.out(judged.map(judgedLine).join(""));
  const judgements = judged.map(({ invariant, judgement }) => ({ invariant: invariant.name, ...judgement }));
  io.out(`${JSON.stringify({ instance: watched.id, observation, judgements })}\n`);
}

function judgedLine({ invariant, judgement }: Judged): string {
  const where = judgement.component === null ? invariant.name : `${invariant.name} ${judgement.component}`;
  const why = judgement.state === "violated" ? judgement.message : judgement.state === "unknown" ? judgement.why : "";
  return `${judgement.state.padEnd(8)}  ${where.padEnd(28)}  ${why}`.trimEnd() + "\n";
}

/** Until Ctrl-C, or until `lab subject down` takes what it watches. */
async function run(
  watched: Watched,
  standing: InstanceRecord | null,
  { db, interval: intervalMs, json }: Flags,
  io: CliIo,
): Promise<void> {
  using down = standing === null ? null : takenDown(standing, io);
  const ended = AbortSignal.any([io.signal, ...(down === null ? [] : [down.signal])]);
  await withTickets(io, db, async (tickets) => {
    io.err(`watching instance ${watched.id}; tickets in ${ticketPath(io, db)}; Ctrl-C ends it\n`);
    const onEvent = (event: MonitorEvent): void => {
      const at = isoTime(io.deps.clock.now());
      const line = eventLine(event);
      if (line !== null) io.out(json === true ? `${JSON.stringify({ at, ...event })}\n` : `${at} ${line}\n`);
    };
    const options = { instance: watched, tickets, deps: io.deps, onEvent };
    await runMonitor({ ...options, ...(intervalMs !== undefined && { intervalMs }) }, ended);
  });
  if (down?.signal.aborted === true) io.err(`instance ${watched.id} is being taken down: there is nothing to watch\n`);
}

/** Null for what is not worth a line: every observation. */
function eventLine(event: MonitorEvent): string | null {
  switch (event.type) {
    case "ticket":
      return `#${event.ticket.id} ${event.action}: ${event.ticket.severity} ${event.ticket.message}`;
    case "ticket-resolved":
      return `#${event.ticket.id} resolved: ${event.ticket.message}`;
    case "engine-event":
      return `${event.event.component} ${event.event.action}`;
    case "problem":
      return event.text;
    case "observation":
      return null;
  }
}
