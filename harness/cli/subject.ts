import { Command, Option } from "commander";
import { HarnessError } from "../base/errors.ts";
import { claimInstance, stateRoot, takeStandingLock, writeInstance, type InstanceRecord } from "../engine/instances.ts";
import type { Endpoints, InstanceId } from "../protocol.ts";
import { chooseSubjectEngine } from "./choose-engine.ts";
import type { CliIo } from "./io.ts";
import { openStanding, standingInstance, type Detachable } from "./standing-instance.ts";
import { subjectCheckCommand } from "./subject-check.ts";
import { holderOf } from "./subjects.ts";

const PROJECT = "tikv";
const NETWORK = "tikv_default";
const READY_TIMEOUT_MS = 180_000;

interface Flags {
  readonly engine: "auto" | "process" | "docker";
  readonly json?: true;
}

/** `lab subject up|down|status|endpoints tikv`: a cluster to play with, which outlives the command; and `check`. */
export function subjectCommand(io: CliIo): Command {
  const command = new Command("subject").description(
    "a running subject of your own: up, down, status, endpoints; check any",
  );
  const verb = (name: string, description: string) =>
    command
      .command(name)
      .description(description)
      .argument("<subject>", "tikv", onlyTikv)
      .addOption(new Option("--engine <engine>", "where").choices(["auto", "process", "docker"]).default("auto"))
      .option("--json", "machine-readable");
  verb("up", `start it and leave it running (Docker: project ${PROJECT}, network ${NETWORK})`).action(
    (_: string, flags: Flags) => up(io, flags),
  );
  verb("down", "stop it and remove its data").action((_: string, flags: Flags) => down(io, flags));
  verb("status", "its components").action((_: string, flags: Flags) => status(io, flags));
  verb("endpoints", "where its services answer, seen from this host").action((_: string, flags: Flags) =>
    endpoints(io, flags),
  );
  return command.addCommand(subjectCheckCommand(io, onlyTikv));
}

function onlyTikv(name: string): string {
  if (name !== "tikv") throw new HarnessError("not-found", `no subject "${name}"; there is: tikv`);
  return name;
}

async function up(io: CliIo, flags: Flags): Promise<void> {
  // Two at once would both find nothing running.
  using _turn = takeTurn(io);
  const running = standingInstance(io);
  if (running !== null)
    throw new HarnessError("already-running", `it is up (instance ${running.id}); \`lab subject down tikv\` ends it`);
  const engine = await chooseSubjectEngine(flags.engine, io);
  const id = io.deps.ids.hex(4) as InstanceId;
  using owned = claimInstance(stateRoot(io.env), id, holderOf(io, "subject up tikv"));
  const options = { engine, id, stateDir: owned.paths.dir, project: PROJECT, network: NETWORK, timeFactor: 1 };
  await using instance = await deployDetachable(options, io);
  io.err(`starting ${instance.title} ...\n`);
  await instance.waitReady({ timeoutMs: READY_TIMEOUT_MS }, io.signal);
  await instance.detach(io.signal);
  owned.leave();
  const book = instance.endpoints("host");
  io.out(
    flags.json
      ? `${JSON.stringify({ id, engine, endpoints: book })}\n`
      : `${instance.title} is up (instance ${id})\n${addresses(book)}`,
  );
}

function takeTurn(io: CliIo): Disposable {
  const turn = takeStandingLock(stateRoot(io.env), holderOf(io, "subject up tikv"));
  if (turn === null)
    throw new HarnessError("already-running", "another `lab subject up tikv` is starting one; wait for it or end it");
  return turn;
}

async function down(io: CliIo, { json }: Flags): Promise<void> {
  const record = required(io);
  using owned = claimInstance(stateRoot(io.env), record.id, holderOf(io, "subject down tikv"));
  const instance = await openStanding(record, io);
  writeInstance(owned.paths.dir, { ...record, leaving: true });
  await instance.tearDown();
  io.out(
    json ? `${JSON.stringify({ id: record.id, down: true })}\n` : `instance ${record.id} is down, its data is gone\n`,
  );
}

async function status(io: CliIo, { json }: Flags): Promise<void> {
  const record = standingInstance(io);
  if (record === null) return io.out(json ? "null\n" : "not running; `lab subject up tikv` starts it\n");
  await using instance = await openStanding(record, io);
  const states = await instance.engine.list(io.signal);
  io.out(
    json
      ? `${JSON.stringify({ id: record.id, engine: record.kind, title: instance.title, components: states })}\n`
      : `${instance.title}, instance ${record.id}\n${states.map(({ component, status: now }) => `  ${component.padEnd(12)} ${now}\n`).join("")}`,
  );
}

async function endpoints(io: CliIo, { json }: Flags): Promise<void> {
  const record = required(io);
  await using instance = await openStanding(record, io);
  const book = instance.endpoints("host");
  io.out(json ? `${JSON.stringify(book)}\n` : addresses(book));
}

async function deployDetachable(
  options: Parameters<typeof import("../../subjects/tikv/adapter-process.ts").deployEmbedded>[0],
  io: CliIo,
): Promise<Detachable> {
  if (options.engine === "process") {
    const { deployEmbedded } = await import("../../subjects/tikv/adapter-process.ts");
    return await deployEmbedded(options, io.deps, io.signal);
  }
  const { deployDocker } = await import("../../subjects/tikv/adapter-docker.ts");
  return await deployDocker(options, io.deps, io.signal);
}

function required(io: CliIo): InstanceRecord {
  const record = standingInstance(io);
  if (record === null) throw new HarnessError("not-found", "it is not running; `lab subject up tikv` starts it");
  return record;
}

function addresses({ byComponent, prometheusUrl }: Endpoints): string {
  const lines = Object.entries(byComponent).flatMap(([component, services]) =>
    Object.entries(services).map(([service, address]) => `  ${component.padEnd(12)} ${service.padEnd(8)} ${address}\n`),
  );
  return `${lines.join("")}${prometheusUrl === null ? "" : `  Prometheus   ${prometheusUrl}\n`}`;
}
