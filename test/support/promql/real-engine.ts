import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { goNumber, type Answer } from "./answer.ts";
import { goFloat, type DataSeries } from "./dataset.ts";
import type { GeneratedQuery } from "./generate.ts";

/** Prometheus' own engine, of the version that the compose file pins: `test/tools/promql-engine`. */
export interface RealEngine extends AsyncDisposable {
  load(data: readonly DataSeries[]): Promise<void>;
  parse(text: string): Promise<{ readonly text?: string; readonly pretty?: string; readonly error?: string }>;
  answer(query: GeneratedQuery): Promise<Answer>;
}

interface Reply {
  readonly type?: string;
  readonly text?: string;
  readonly pretty?: string;
  readonly error?: string;
  readonly kind?: string;
  readonly series?: {
    readonly labels: Record<string, string> | null;
    readonly times: number[];
    readonly values: string[];
  }[];
}

/** Starts the program that `buildGo` made. Requests are answered in their order. */
export function startRealEngine(program: string): RealEngine {
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting: ((reply: Reply) => void)[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.(JSON.parse(line) as Reply));
  const ask = (request: object) =>
    new Promise<Reply>((resolve) => {
      waiting.push(resolve);
      child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  return {
    load: async (data) => {
      const series = data.map(({ labels, times, values }) => ({
        labels,
        times,
        values: values.map((value) => (value === "stale" ? value : goFloat(value))),
      }));
      await ask({ load: series });
    },
    parse: async (text) => {
      const { text: printed, pretty, error } = await ask({ parse: text });
      return error === undefined ? { text: printed ?? "", pretty: pretty ?? "" } : { error };
    },
    answer: async ({ text, startMs, endMs, stepMs }) => {
      const reply = await ask({ query: text, start: startMs, end: endMs, step: stepMs });
      if (reply.error !== undefined)
        return { type: "error", error: { kind: reply.kind ?? "", message: reply.error }, series: [] };
      const series = (reply.series ?? []).map(({ labels, times, values }) => ({
        labels: labels ?? {},
        points: times.map((time, index) => [time, goNumber(values[index] ?? "")] as const),
      }));
      return { type: reply.type ?? "", ...(reply.type === "string" ? { text: reply.text ?? "" } : {}), series };
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
