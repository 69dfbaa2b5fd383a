import { createCaller, type Call } from "../../harness/agent/caller.ts";
import { CurrentWork } from "../../harness/agent/current-work.ts";
import { openEngine, openSidecar } from "../../harness/agent/open-engine.ts";
import { buildTools } from "../../harness/agent/tools/index.ts";
import { maskerOf, Transcript } from "../../harness/agent/transcript.ts";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { readSettings } from "../../harness/control/settings.ts";
import type { Engine, Incident, SubjectInstance, Tool, ToolResult } from "../../harness/protocol.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import type { Told } from "./leak-words.ts";

export type ToolCall = readonly [tool: string, input: Record<string, unknown>];

/** An operator of an instance, with the tools that the agent's program builds from its environment. */
export interface OperatorSide extends AsyncDisposable {
  readonly engine: Engine;
  readonly tools: readonly Tool[];
  /** Everything that the tools have returned so far, whole: not what the bound leaves. */
  readonly heard: Told[];
  ask(call: ToolCall): Promise<ToolResult>;
  /** Several at once, in order of the calls. */
  askAll(calls: readonly ToolCall[]): Promise<readonly ToolResult[]>;
}

const AT_ONCE = 6;
const deps = {
  clock: systemClock,
  random: seededRandom("operator-side"),
  ids: randomIds,
  log: silentLog,
  fetch: globalThis.fetch,
};

/**
 * As its program sees it at `host`; the engine is the operator's, never the owner's.
 * @param sidecar in compose mode: what its program is told, and the incident that it works.
 */
export async function openOperatorSide(
  instance: SubjectInstance,
  signal: AbortSignal,
  sidecar: { readonly told: Readonly<Record<string, string>>; readonly incident: Incident } | null = null,
): Promise<OperatorSide> {
  const told: Record<string, string> = { ...instance.operatorEnvironment("host"), ...sidecar?.told };
  const { ENGINE = "", NETWORK = null, PD_URLS = "" } = told;
  const client = await openSidecar(ENGINE, readSettings({ env: told }).settings, deps, signal);
  const work = new CurrentWork();
  if (sidecar !== null) work.begin(sidecar.incident, null);
  const through = client === null ? null : { client, work };
  const engine = await openEngine(ENGINE, NETWORK, deps, signal, through);
  const endpoints = instance.endpoints("host");
  const heard: Told[] = [];
  const tools = buildTools(
    {
      engine,
      kit: tikvKit({ endpoints, pdUrls: PD_URLS.split(",") }, deps),
      prometheus: endpoints.prometheusUrl === null ? null : prometheusClient({ url: endpoints.prometheusUrl }, deps),
      clock: systemClock,
      components: instance.components.map(({ component }) => component),
      findings: { submitted: null },
    },
    "execute",
  );
  const transcript = new Transcript({
    clock: systemClock,
    log: silentLog,
    mask: maskerOf([]),
    sink: async ({ type, tool, params, raw }) => {
      if (type === "tool_result") heard.push({ where: `${tool} ${JSON.stringify(params)}`, text: raw });
    },
  });
  const call: Call = createCaller({ tools, mode: "execute", transcript, checkLease: () => {}, abort: () => {} });
  const ask = ([tool, input]: ToolCall) => call(tool, { reason: "a look at what there is to see", ...input }, signal);
  return {
    engine,
    tools,
    heard,
    ask,
    async askAll(calls) {
      const results: ToolResult[] = [];
      for (let at = 0; at < calls.length; at += AT_ONCE)
        results.push(...(await Promise.all(calls.slice(at, at + AT_ONCE).map(ask))));
      return results;
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await client?.[Symbol.asyncDispose]();
    },
  };
}
