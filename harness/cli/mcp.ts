import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { isoTime } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";
import { jsonLog } from "../base/log.ts";
import { CLIENTS, clientSnippet, TOKEN_VARIABLE, type ClientName } from "../mcp/client-config.ts";
import type { Effect } from "../protocol.ts";
import { openAdmissions } from "./admissions.ts";
import type { CliIo } from "./io.ts";
import { packageVersion } from "../base/package-version.ts";
import { inFile, liveTicketFiles } from "./ticket-files.ts";

const DEFAULT_PORT = 8711;
const DB = "ticket file; default: ~/.operator/tickets.db and those of the trials that run here";

interface TokenFlags {
  readonly incident?: string;
  readonly scope: Effect;
  readonly minutes: number;
  readonly revoke?: true;
  readonly db?: string;
  readonly json?: true;
}

interface ServeFlags {
  readonly stdio?: true;
  readonly host: string;
  readonly port: number;
  readonly allowHost: readonly string[];
  readonly tokenFile?: string;
  readonly db?: string;
  readonly json?: true;
}

interface ConfigFlags {
  readonly transport: "http" | "stdio";
  readonly host: string;
  readonly port: number;
  readonly json?: true;
}

/** `lab mcp …`: an incident for clients that speak MCP (operator `external`). */
export function mcpCommand(io: CliIo): Command {
  const command = new Command("mcp").description("an incident for MCP clients such as Claude Code (operator external)");
  command
    .command("token")
    .description("a token for one incident, good as long as its session lasts; printed once")
    .option("--incident <key>", "which, where several wait for a client")
    .addOption(
      new Option("--scope <effect>", "the worst that its calls may do")
        .choices(["read", "write", "destructive"])
        .default("destructive"),
    )
    .option("--minutes <number>", "at most so long", minutes, 60)
    .option("--revoke", "instead: the incident's tokens are worth nothing from now on")
    .option("--db <file>", DB)
    .option("--json", "machine-readable")
    .action((flags: TokenFlags) => token(flags, io));
  withAddress(command.command("serve"))
    .description("the server: HTTP until Ctrl-C, or with --stdio for the client that starts it")
    .option("--stdio", "over standard input and output")
    .option("--allow-host <name...>", "further names under which clients may ask it", [])
    .option("--token-file <file>", `with --stdio: where the token is; default: the variable ${TOKEN_VARIABLE}`)
    .option("--db <file>", DB)
    .option("--json", "machine-readable")
    .action((flags: ServeFlags) => serve(flags, io));
  const config = command.command("config").description("what makes a client find the server; the token stays outside");
  for (const client of CLIENTS)
    withAddress(config.command(client))
      .addOption(new Option("--transport <transport>").choices(["http", "stdio"]).default("http"))
      .option("--json", "machine-readable")
      .action((flags: ConfigFlags) => printConfig(client, flags, io));
  return command;
}

function withAddress(command: Command): Command {
  return command
    .option("--host <address>", "where it listens", "127.0.0.1")
    .option("--port <number>", "0: any free one", port, DEFAULT_PORT);
}

/** Whoever may do more may do less. */
const SCOPES: Readonly<Record<Effect, readonly Effect[]>> = {
  read: ["read"],
  write: ["read", "write"],
  destructive: ["read", "write", "destructive"],
};

async function token(flags: TokenFlags, io: CliIo): Promise<void> {
  const { path, batchKey } = await chooseDoor(flags, io);
  const done = await inFile(io, path, true, async ({ access }) =>
    flags.revoke
      ? { revoked: await access.revoke(batchKey) }
      : await access.issue({ batchKey, scopes: SCOPES[flags.scope], ttlMs: flags.minutes * 60_000 }),
  );
  if (done === null) return;
  if (flags.json) return io.out(`${JSON.stringify(done)}\n`);
  if ("revoked" in done) return io.out(`${done.revoked} token(s) of incident ${batchKey} revoked\n`);
  io.err(
    `for incident ${batchKey}, until ${isoTime(done.expiresAt)} or the end of its session; keep it in ${TOKEN_VARIABLE}\n`,
  );
  io.out(`${done.token}\n`);
}

async function chooseDoor(
  { incident, db }: TokenFlags,
  io: CliIo,
): Promise<{ readonly path: string; readonly batchKey: string }> {
  const found: { path: string; batchKey: string }[] = [];
  for (const path of await liveTicketFiles(io, db)) {
    const doors = await inFile(io, path, db !== undefined, ({ access }) => access.doors());
    found.push(...(doors ?? []).map(({ claim }) => ({ path, batchKey: claim.batchKey })));
  }
  const fitting = found.filter(({ batchKey }) => incident === undefined || batchKey === incident);
  const [first] = fitting;
  if (first === undefined)
    throw new HarnessError(
      "not-found",
      incident === undefined
        ? "no incident waits for a client: `lab agent start --operator external` opens the next one"
        : `no session waits for a client on incident ${incident}`,
    );
  if (fitting.length > 1)
    throw new HarnessError(
      "usage",
      `several wait: ${fitting.map(({ batchKey }) => batchKey).join(", ")}; name one with --incident`,
    );
  return first;
}

async function serve(flags: ServeFlags, io: CliIo): Promise<void> {
  await using admissions = openAdmissions(io, flags.db);
  const admit = (asked: string) => admissions.check(asked);
  // Standard output belongs to the protocol, or to the one line below.
  const deps = { ...io.deps, log: jsonLog({ level: "info" }) };
  if (flags.stdio === true) {
    const { serveStdio } = await import("../mcp/serve-stdio.ts");
    const given = await stdioToken(flags.tokenFile, io);
    return await serveStdio({ token: given, version: packageVersion(), admit }, deps, io.signal);
  }
  const { serveHttp } = await import("../mcp/serve-http.ts");
  const { host, allowHost } = flags;
  const options = { host, port: flags.port, allowHosts: allowHost, version: packageVersion(), admit };
  await using serving = await serveHttp(options, deps, io.signal);
  io.out(flags.json ? `${JSON.stringify({ url: serving.url })}\n` : `MCP at ${serving.url}\n`);
  await new Promise<void>((done) => {
    if (io.signal.aborted) done();
    io.signal.addEventListener("abort", () => done(), { once: true });
  });
}

async function stdioToken(file: string | undefined, io: CliIo): Promise<string> {
  const text = file === undefined ? (io.env[TOKEN_VARIABLE] ?? "") : await readToken(resolve(io.cwd, file));
  if (text.trim() === "")
    throw new HarnessError(
      "config-invalid",
      `no token: \`lab mcp token\` makes one; set ${TOKEN_VARIABLE}, or --token-file`,
    );
  return text.trim();
}

async function readToken(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new HarnessError("config-invalid", `cannot read the token in ${path}`, { cause });
  }
}

function printConfig(client: ClientName, { transport, host, port: at, json }: ConfigFlags, io: CliIo): void {
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${at}/mcp`;
  const launcher = resolve(import.meta.dirname, "../../bin/lab.mjs");
  const snippet = clientSnippet(client, { transport, url, command: ["node", launcher, "mcp", "serve", "--stdio"] });
  if (json) return io.out(`${JSON.stringify(snippet)}\n`);
  io.err(`${snippet.file}; before it starts: export ${TOKEN_VARIABLE}="$(npx lab mcp token)"\n`);
  io.out(snippet.text);
}

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError("a port, 0 to 65535.");
  return Number(text);
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 24 * 60)) throw new InvalidArgumentError("minutes, at most a day.");
  return value;
}
