import { z } from "zod";
import { commandSpec, type CommandName } from "./contract.ts";

const input = z.looseObject({
  component: z.string().optional(),
  grace_seconds: z.number().optional(),
  signal: z.string().optional(),
  argv: z.array(z.string()).optional(),
  cpus: z.number().nullable().optional(),
  memory_bytes: z.number().nullable().optional(),
  restart_policy: z.string().optional(),
  image: z.string().optional(),
  aliases: z.array(z.string()).optional(),
});
type ToolInput = z.output<typeof input>;
type Params = Readonly<Record<string, unknown>>;

const target = ({ component }: ToolInput): Params => ({ component });
const graceful = ({ component, grace_seconds }: ToolInput): Params => ({
  component,
  ...(grace_seconds === undefined ? {} : { grace_ms: grace_seconds * 1_000 }),
});

/** The agent's tools that change something -> the command that each becomes. Limits of time and output are not part of it. */
const TOOLS: Readonly<Record<string, readonly [CommandName, (input: ToolInput) => Params]>> = {
  container_start: ["start", target],
  container_stop: ["stop", graceful],
  container_restart: ["restart", graceful],
  container_kill: ["kill", ({ component, signal }) => ({ component, signal: signal ?? "SIGKILL" })],
  container_pause: ["pause", target],
  container_unpause: ["unpause", target],
  container_exec: ["exec", ({ component, argv }) => ({ component, argv })],
  container_update: [
    "update",
    ({ component, cpus, memory_bytes, restart_policy }) => ({ component, cpus, memory_bytes, restart_policy }),
  ],
  container_recreate: ["recreate", ({ component, image }) => ({ component, image })],
  network_connect: ["connect", ({ component, aliases }) => ({ component, aliases })],
  network_disconnect: ["disconnect", target],
};

/**
 * Whether a command is what the approved call of a tool comes to. What is left out of one must be left out of the
 * other, except how long it may take and how much it may print.
 */
export function isCommandOfTool(
  name: CommandName,
  params: unknown,
  approved: { readonly tool: string; readonly input: unknown },
): boolean {
  const [wanted, translate] = Object.hasOwn(TOOLS, approved.tool) ? (TOOLS[approved.tool] ?? []) : [];
  const read = input.safeParse(approved.input);
  if (wanted !== name || translate === undefined || !read.success) return false;
  const expected = commandSpec(name).params.safeParse(translate(read.data));
  return expected.success && essence(expected.data) === essence(name === "kill" ? withSignal(params) : params);
}

const withSignal = (params: unknown): unknown => ({ signal: "SIGKILL", ...(params as object) });

/** JSON in one order of keys. */
function essence(params: unknown): string {
  const entries = Object.entries(params as object).filter(
    ([key, value]) => value !== undefined && key !== "timeout_ms" && key !== "max_bytes",
  );
  return JSON.stringify(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
