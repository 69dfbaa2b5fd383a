import type { Command } from "commander";
import type { CliIo } from "./io.ts";

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Imports the command's file only when it is asked for: `--help` stays fast, and tickets need no Docker client. */
  load(io: CliIo): Promise<Command>;
}

/** Every command of `lab`, in the order of `--help`. One line each. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "demo",
    summary: "the whole path in half a minute, on this machine",
    load: async (io) => (await import("./demo.ts")).demoCommand(io),
  },
  {
    name: "run",
    summary: "one trial of a scenario",
    load: async (io) => (await import("./run.ts")).runCommand(io),
  },
  {
    name: "grade",
    summary: "judge a recorded trial again",
    load: async (io) => (await import("./grade.ts")).gradeCommand(io),
  },
  {
    name: "scenario",
    summary: "scenarios: list, show, new, validate",
    load: async (io) => (await import("./scenario.ts")).scenarioCommand(io),
  },
  {
    name: "subject",
    summary: "a running cluster of your own: up, down, status, endpoints; check any",
    load: async (io) => (await import("./subject.ts")).subjectCommand(io),
  },
  {
    name: "monitor",
    summary: "watch a cluster, open and resolve tickets: run",
    load: async (io) => (await import("./monitor.ts")).monitorCommand(io),
  },
  {
    name: "agent",
    summary: "the operator's program: start, up, down, logs",
    load: async (io) => (await import("./agent.ts")).agentCommand(io),
  },
  {
    name: "ticket",
    summary: "tickets: create, list, show, resolve, hold, unhold, reopen",
    load: async (io) => (await import("./ticket.ts")).ticketCommand(io),
  },
  {
    name: "session",
    summary: "operators' sessions: list, show",
    load: async (io) => (await import("./session.ts")).sessionCommand(io),
  },
  {
    name: "approve",
    summary: "let an operator do what it proposes; list: what waits for you",
    load: async (io) => (await import("./approve.ts")).approveCommand(io),
  },
  {
    name: "reject",
    summary: "refuse what an operator proposes, and say why",
    load: async (io) => (await import("./reject.ts")).rejectCommand(io),
  },
  {
    name: "audit",
    summary: "what went through the control plane: verify, show",
    load: async (io) => (await import("./audit.ts")).auditCommand(io),
  },
  {
    name: "watchdog",
    summary: "keep the control plane's own containers alive: run, status, history, reset",
    load: async (io) => (await import("./watchdog.ts")).watchdogCommand(io),
  },
  {
    name: "panel",
    summary: "the status panel: password, users, remove, commands, start",
    load: async (io) => (await import("./panel.ts")).panelCommand(io),
  },
  {
    name: "token",
    summary: "the planes' tokens: show, rotate, revoke",
    load: async (io) => (await import("./token.ts")).tokenCommand(io),
  },
  {
    name: "config",
    summary: "the control plane's settings and where each comes from: show",
    load: async (io) => (await import("./config.ts")).configCommand(io),
  },
  {
    name: "mcp",
    summary: "an incident for MCP clients: serve, token, config",
    load: async (io) => (await import("./mcp.ts")).mcpCommand(io),
  },
  {
    name: "heal",
    summary: "undo what a killed run left behind",
    load: async (io) => (await import("./heal.ts")).healCommand(io),
  },
  {
    name: "doctor",
    summary: "what this machine can run, and what is missing",
    load: async (io) => (await import("./doctor.ts")).doctorCommand(io),
  },
  {
    name: "table",
    summary: "every scenario with every scripted operator",
    load: async (io) => (await import("./table.ts")).tableCommand(io),
  },
  {
    name: "baseline",
    summary: "store what happens without an operator",
    load: async (io) => (await import("./baseline.ts")).baselineCommand(io),
  },
  {
    name: "control",
    summary: "a compose-agent's API by hand: call, command, health, capabilities, metrics, get",
    load: async (io) => (await import("./control.ts")).controlCommand(io),
  },
];
