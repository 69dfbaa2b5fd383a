import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";
import { HarnessError } from "../base/errors.ts";
import { packageVersion } from "../base/package-version.ts";
import type { TokenCache } from "../control/tokens/index.ts";
import { Epoch } from "../control/server/epoch.ts";
import { Gate } from "../control/server/gate.ts";
import { ControlMetrics } from "../control/server/metrics.ts";
import type { Deps } from "../protocol.ts";
import { openActions } from "./actions.ts";
import { countAttempts } from "./attempts.ts";
import type { ControlPort } from "./control-port.ts";
import { openDesk } from "./desk.ts";
import { openGatherer } from "./gather.ts";
import { machineApp } from "./machines.ts";
import { openParts } from "./parts.ts";
import { peopleApp } from "./people.ts";
import { openSignIns } from "./sign-ins.ts";
import { openSource } from "./source.ts";
import { throughAgent, type ThroughAgent } from "./through-agent.ts";
import { openUsers } from "./users.ts";
import type { Titles } from "./web/page.ts";

/** Requests that an agent of ours makes are few; whoever makes more waits. */
const LIMITS = {
  bodyBytes: 256 * 1024,
  requestsPerSecond: 50,
  burst: 100,
  waitMs: 60_000,
  openRequests: 64,
  queued: 20,
};
/** A hundred steps of a session, or three hundred tickets; `gather.ts` asks for no more. */
const MAX_ANSWER_BYTES = 4 * 1024 ** 2;

export interface Listen {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
}

export interface PanelOptions {
  readonly control: ControlPort;
  /** Of the plane `status_panel` alone. */
  readonly tokens: TokenCache;
  readonly usersFile: string;
  readonly deploymentHash: string;
  readonly titles: Titles;
  readonly hosts: readonly string[];
  readonly secureCookie: boolean;
  /** Where people find the page, and where programs register. */
  readonly page: Listen;
  readonly machines: Listen;
}

export interface Panel extends AsyncDisposable {
  readonly pageUrl: string;
  readonly machinesUrl: string;
}

type PanelDeps = Pick<Deps, "clock" | "ids" | "log">;

/**
 * The status panel: a page for people, a door for programs, and everything in memory; nothing of it is on disk.
 * @throws HarnessError `port-taken`.
 */
export async function servePanel(options: PanelOptions, deps: PanelDeps): Promise<Panel> {
  const { control, tokens, usersFile, deploymentHash, titles, hosts, secureCookie } = options;
  const { clock, ids, log } = deps;
  const life = new AbortController();
  const { signal } = life;
  const registered = openParts(clock);
  const desk = openDesk(deps);
  const agents = new Map<string, ThroughAgent>();
  const agent = (agentId: string): ThroughAgent => {
    const token = () => tokens.current("status_panel");
    const way = agents.get(agentId) ?? throughAgent(agentId, { desk, token, deploymentHash }, deps);
    agents.set(agentId, way);
    return way;
  };
  const source = openSource({ control, registered, agent }, deps);
  const actions = openActions(
    { control, agent, registered, sightOfControl: () => controlSight(), changed: () => gatherer.touched() },
    deps,
  );
  const gatherer = openGatherer({ source, parts: registered, done: () => actions.done() }, deps);
  const controlSight = () => {
    const { health, capabilities } = gatherer.sight();
    return {
      answers: health.value !== null && health.why === null && source.agentId === null,
      why: source.why ?? health.why,
      features: capabilities.value?.features ?? null,
    };
  };
  const [serverId, epoch] = [ids.hex(8), new Epoch(deps)];
  const gateFor = (limits: typeof LIMITS): Gate =>
    new Gate({ tokens, epoch, serverId, limits, metrics: new ControlMetrics() }, { clock, log });
  const people = peopleApp(
    {
      users: openUsers(usersFile),
      signIns: openSignIns(deps),
      attempts: countAttempts(clock),
      gatherer,
      actions,
      control: source,
      titles,
      hosts,
      secureCookie,
      signal,
    },
    deps,
  );
  const heard = () => gatherer.touched();
  const machines = machineApp(
    {
      parts: registered,
      desk,
      tokens,
      gate: gateFor(LIMITS),
      answers: gateFor({ ...LIMITS, bodyBytes: MAX_ANSWER_BYTES }),
      serverId,
      epoch,
      version: packageVersion(),
      deploymentHash,
      heard,
      signal,
    },
    deps,
  );
  await using opened = new AsyncDisposableStack();
  const page = await listen(people, options.page, opened);
  const door = await listen(machines, options.machines, opened);
  const gathering = gatherer.run(signal);
  const all = opened.move();
  return {
    pageUrl: urlOf(options.page.host, page),
    machinesUrl: urlOf(options.machines.host, door),
    [Symbol.asyncDispose]: async () => {
      life.abort(new HarnessError("interrupted", "the panel ends"));
      await gathering;
      await all.disposeAsync();
    },
  };
}

// oxlint-disable-next-line typescript/no-explicit-any -- both kinds of app, whose bindings nobody here looks at
async function listen(app: Hono<any>, { host, port }: Listen, opened: AsyncDisposableStack): Promise<Server> {
  const server = createServer(getRequestListener(app.fetch));
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw taken
      ? new HarnessError("port-taken", `${host}:${port} is taken by another program`, { cause: error })
      : error;
  }
  opened.defer(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  });
  return server;
}

function urlOf(host: string, server: Server): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(":") ? `[${host}]` : host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`;
}
