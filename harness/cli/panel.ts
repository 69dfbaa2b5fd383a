import { text } from "node:stream/consumers";
import { Command, InvalidArgumentError } from "commander";
import { isoTime } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";
import { plain } from "../base/plain-text.ts";
import type { PeopleCommand } from "../../tickets/index.ts";
import { readSettings } from "../control/settings.ts";
import { DEFAULT_PAGE_PORT, defaultUsersFile, panelConfig } from "../panel/config.ts";
import { runPanel } from "../panel/run-panel.ts";
import { openUsers, removeUser, setPassword } from "../panel/users.ts";
import type { CliIo } from "./io.ts";
import { withTickets } from "./open-ticket-file.ts";
import { standingNotice } from "./standing-notice.ts";

interface Common {
  readonly config?: string;
  readonly json?: true;
}

interface StartFlags extends Common {
  readonly control?: string;
  readonly port?: number;
}

const PASSWORD_BYTES = 12;

/** `lab panel …`: the page for people: who may sign in, and the page itself without containers. */
export function panelCommand(io: CliIo): Command {
  const command = new Command("panel").description(
    "the status panel: who may sign in, and the page without containers",
  );
  withCommon(command.command("password").argument("<name>", "who: lower-case letters, digits, `_`, `.` and `-`"))
    .description("adds a person, or gives one a new password; without --stdin one is made and printed, once")
    .option("--stdin", "the password is the first line of the standard input")
    .action((name: string, flags: Common & { stdin?: true }) => password(name, flags, io));
  withCommon(command.command("users"))
    .description("who may sign in")
    .action((flags: Common) => {
      const names = openUsers(usersFile(flags, io)).names();
      if (flags.json) return io.out(`${JSON.stringify(names)}\n`);
      io.out(names.length === 0 ? "nobody yet: `lab panel password <name>`\n" : `${names.join("\n")}\n`);
    });
  withCommon(command.command("remove").argument("<name>"))
    .description("locks a person out at once")
    .action((name: string, flags: Common) => {
      if (!removeUser(usersFile(flags, io), name))
        throw new HarnessError(
          "not-found",
          `nobody is called "${name}" here; \`lab panel users\` lists who may sign in`,
        );
      io.out(flags.json ? `${JSON.stringify({ name, removed: true })}\n` : `${name} can no longer sign in\n`);
    });
  withCommon(command.command("commands"))
    .description("what an agent in legacy mode carried out for people, newest first; elsewhere `lab audit show` has it")
    .option("--db <file>", "another ticket file")
    .action((flags: Common & { db?: string }) => commands(flags, io));
  withCommon(command.command("start"))
    .description("in the foreground on this machine's loopback, until Ctrl-C; `lab agent up` has it in a container")
    .option("--control <address>", "the compose-agent: http://host:port or unix:<socket>")
    .option("--port <number>", `of the page; programs register at the next one; default ${DEFAULT_PAGE_PORT}`, port)
    .action((flags: StartFlags) => start(flags, io));
  return command;
}

async function password(name: string, flags: Common & { readonly stdin?: true }, io: CliIo): Promise<void> {
  const file = usersFile(flags, io);
  const given = flags.stdin === true ? ((await text(process.stdin)).split("\n")[0] ?? "") : null;
  const chosen = given ?? io.deps.ids.hex(PASSWORD_BYTES);
  await setPassword(file, name, chosen);
  // Made here and kept nowhere: this is the only time that it is shown.
  if (flags.json) return io.out(`${JSON.stringify({ name, file, ...(given === null && { password: chosen }) })}\n`);
  if (given === null) io.out(`${chosen}\n`);
  io.err(`${name} can sign in${given === null ? " with this password; it is shown only now" : ""}\n`);
}

const SHOWN_COMMANDS = 100;

async function commands({ db, json }: Common & { readonly db?: string }, io: CliIo): Promise<void> {
  const rows = await withTickets(io, db, (tickets) => tickets.people.list(SHOWN_COMMANDS));
  if (json) return io.out(`${JSON.stringify(rows)}\n`);
  io.out(rows.length === 0 ? "none: no agent in legacy mode has done anything for people\n" : rows.map(row).join(""));
}

function row({ at, by, name, target, agent, state, report }: PeopleCommand): string {
  const error = (report as { readonly error?: unknown } | null)?.error;
  const why = typeof error === "string" ? `: ${error}` : "";
  return `${isoTime(at)}  ${plain(by)}  ${name} ${target ?? ""}  by ${plain(agent)}  -> ${state}${plain(why)}\n`;
}

async function start(flags: StartFlags, io: CliIo): Promise<void> {
  const { settings } = readSettings({
    env: io.env,
    flags: { config: flags.config },
    defaults: { agentId: "statuspanel" },
  });
  const { control, port: own } = flags;
  const notice = await standingNotice(io);
  const env = {
    ...io.env,
    ...(control !== undefined && { CONTROL_URL: control }),
    ...(own !== undefined && { PANEL_LISTEN: `127.0.0.1:${own}` }),
    ...(notice !== null && { PANEL_NOTICE: notice }),
  };
  const config = panelConfig(env, settings);
  if (openUsers(config.usersFile).names().length === 0) io.err("nobody can sign in yet: `lab panel password <name>`\n");
  await runPanel(
    config,
    settings,
    io.deps,
    ({ pageUrl, machinesUrl }) => {
      if (flags.json) return io.out(`${JSON.stringify({ page: pageUrl, agents: machinesUrl })}\n`);
      io.out(`${pageUrl}\n`);
      io.err(`programs register with DASHBOARD_URL=${machinesUrl}; Ctrl-C ends it\n`);
    },
    io.signal,
  );
}

function usersFile({ config }: Common, io: CliIo): string {
  const { settings } = readSettings({ env: io.env, flags: { config } });
  return io.env["PANEL_USERS_FILE"] || defaultUsersFile(settings.tokenDir);
}

function withCommon(command: Command): Command {
  return command.option("--config <file>", "another config file").option("--json", "machine-readable");
}

function port(given: string): number {
  const number = Number(given);
  if (!Number.isInteger(number) || number < 0 || number > 65_534) throw new InvalidArgumentError("0 to 65534.");
  return number;
}
