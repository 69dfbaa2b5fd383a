import { Command, Option } from "commander";
import { TICKET_STATUSES, type Ticket, type Tickets, type TicketStatus } from "../../tickets/index.ts";
import { HarnessError } from "../base/errors.ts";
import type { Component, InstanceId, Severity } from "../protocol.ts";
import type { CliIo } from "./io.ts";
import { ticketPath, withTickets } from "./open-ticket-file.ts";
import { standingInstance } from "./standing-instance.ts";
import { ticketNumber } from "./ticket-number.ts";
import { sessionLine, ticketDetails, ticketLine, unverifiedWarning } from "./ticket-text.ts";

interface Common {
  readonly db?: string;
  readonly json?: true;
}

interface CreateFlags extends Common {
  readonly invariant: string;
  readonly store?: string;
  readonly message: string;
  readonly severity: Severity;
  readonly subject: string;
  readonly instance?: string;
  readonly manual?: true;
}

type Act = (tickets: Tickets, id: number) => Promise<Ticket>;

/** `lab ticket …`: what the monitor or a person reported, and what came of it. */
export function ticketCommand(io: CliIo): Command {
  const command = new Command("ticket").description("what the monitor or a person reported, and what came of it");
  command.addCommand(create(io)).addCommand(list(io)).addCommand(show(io));
  const act = (name: string, description: string, done: string, run: Act) =>
    command.addCommand(changing(io, { name, description, done, run }));
  act("resolve", "your word that it is over", "is resolved", (tickets, id) => tickets.resolve(id));
  act("hold", "keep agents and monitor off it; a session at work on it loses it", "is held", (t, id) => t.hold(id));
  act("unhold", "let them have it again", "is no longer held", (tickets, id) => tickets.unhold(id));
  act("reopen", "open it again, with fresh attempts", "is open again", (tickets, id) => tickets.reopen(id));
  return command;
}

function create(io: CliIo): Command {
  return withCommon(new Command("create"))
    .description("report something yourself")
    .requiredOption("--invariant <name>", "what is violated; the monitor verifies its repair")
    .requiredOption("--message <text>", "what was seen")
    .option("--store <name>", "the component, e.g. tikv1; without it the whole cluster")
    .addOption(new Option("--severity <severity>", "how bad").choices(["warning", "critical"]).default("warning"))
    .option("--subject <name>", "of what", "tikv")
    .option("--instance <id>", "which cluster, where several are known")
    .option("--manual", "nothing verifies it: it ends at diagnosed, and you resolve it")
    .action((flags: CreateFlags) => withTickets(io, flags.db, (tickets) => createTicket(io, tickets, flags)));
}

async function createTicket(io: CliIo, tickets: Tickets, flags: CreateFlags): Promise<void> {
  await refuseUnknownInvariant(tickets, flags);
  const { ticket, created } = await tickets.create({
    instance: await chooseInstance(io, tickets, flags),
    invariant: flags.invariant,
    component: (flags.store ?? null) as Component | null,
    severity: flags.severity,
    message: flags.message,
    manual: flags.manual === true,
  });
  if (flags.json) io.out(`${JSON.stringify({ ...ticket, created })}\n`);
  else if (created) io.out(`ticket #${ticket.id} is open\n`);
  else io.out(`ticket #${ticket.id} says so already (${ticket.status})\n`);
  if (!ticket.manual) io.err(unverifiedWarning(await tickets.monitors(), ticket.instance));
}

/** Only a monitor at work knows which names there are; without one any name is taken. */
async function refuseUnknownInvariant(tickets: Tickets, { invariant, subject, manual }: CreateFlags): Promise<void> {
  if (manual) return;
  const alive = (await tickets.monitors()).filter((monitor) => monitor.alive && monitor.subject === subject);
  const names = new Set(alive.flatMap((monitor) => monitor.invariants));
  if (names.size > 0 && !names.has(invariant))
    throw new HarnessError(
      "usage",
      `the monitor knows no invariant "${invariant}", so nothing would verify it; it knows ${[...names].join(", ")}. With --manual any name will do`,
    );
}

/** The cluster that is meant when there is only one that can be meant. */
async function chooseInstance(io: CliIo, tickets: Tickets, { instance, subject }: CreateFlags): Promise<InstanceId> {
  if (instance !== undefined) return instance as InstanceId;
  const monitors = await tickets.monitors();
  const watched = monitors.filter((m) => m.alive && m.subject === subject).map((m) => m.instance);
  const standing = standingInstance(io);
  const here = standing !== null && standing.subject === subject ? [standing.id as InstanceId] : [];
  const seen = (await tickets.list()).flatMap((ticket) => (ticket.instance === null ? [] : [ticket.instance]));
  for (const candidates of [watched, here, seen]) {
    const distinct = [...new Set(candidates)];
    if (distinct.length > 1)
      throw new HarnessError("usage", `several clusters are known (${distinct.join(", ")}); say which with --instance`);
    if (distinct[0] !== undefined) return distinct[0];
  }
  throw new HarnessError(
    "usage",
    `no ${subject} cluster is known to ${tickets.path}: start one (\`lab subject up ${subject}\`), watch one (\`lab monitor run\`), or name it with --instance`,
  );
}

function list(io: CliIo): Command {
  return withCommon(new Command("list"))
    .description("tickets, newest first")
    .addOption(new Option("--status <status>", "only these").choices(TICKET_STATUSES))
    .option("--instance <id>", "only of this cluster")
    .action((flags: Common & { status?: TicketStatus; instance?: string }) =>
      withTickets(io, flags.db, async (tickets) => {
        const rows = await tickets.list({
          ...(flags.status === undefined ? {} : { status: flags.status }),
          ...(flags.instance === undefined ? {} : { instance: flags.instance as InstanceId }),
        });
        if (flags.json) return io.out(`${JSON.stringify(rows)}\n`);
        io.out(rows.length === 0 ? `no tickets in ${ticketPath(io, flags.db)}\n` : rows.map(ticketLine).join(""));
        if (rows.some((t) => t.status !== "resolved" && !t.manual)) io.err(unverifiedWarning(await tickets.monitors()));
      }),
    );
}

function show(io: CliIo): Command {
  return withCommon(new Command("show").argument("<id>", "its number", ticketNumber))
    .description("one ticket, its sessions and what they cost")
    .action((id: number, flags: Common) =>
      withTickets(io, flags.db, async (tickets) => {
        const ticket = await tickets.get(id);
        const sessions = await tickets.listSessions({ ticketId: id });
        const usage = await tickets.usageOf(id);
        if (flags.json) return io.out(`${JSON.stringify({ ...ticket, sessions, usage })}\n`);
        io.out(ticketDetails(ticket, usage) + sessions.map(sessionLine).join(""));
        if (ticket.status !== "resolved" && !ticket.manual)
          io.err(unverifiedWarning(await tickets.monitors(), ticket.instance));
      }),
    );
}

function changing(
  io: CliIo,
  { name, description, done, run }: { name: string; description: string; done: string; run: Act },
): Command {
  return withCommon(new Command(name).argument("<id>", "its number", ticketNumber))
    .description(description)
    .action((id: number, flags: Common) =>
      withTickets(io, flags.db, async (tickets) => {
        const ticket = await run(tickets, id);
        io.out(flags.json ? `${JSON.stringify(ticket)}\n` : `ticket #${id} ${done}\n`);
      }),
    );
}

function withCommon(command: Command): Command {
  return command
    .option("--db <file>", "another ticket file than ~/.operator/tickets.db")
    .option("--json", "machine-readable");
}
