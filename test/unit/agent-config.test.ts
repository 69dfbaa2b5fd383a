import { describe, expect, test } from "vitest";
import { agentConfig } from "../../harness/agent/config.ts";

const env = {
  PD_URLS: "http://pd0:2379, http://pd1:2379",
  INSTANCE_ID: "ab12",
  ENGINE: "unix:/run/engine.sock",
  HOME: "/home/somebody",
};

describe("settings of the agent", () => {
  test("what is not said has a default", () => {
    expect(agentConfig([], env)).toMatchObject({
      once: false,
      pdUrls: ["http://pd0:2379", "http://pd1:2379"],
      operator: "runbook",
      mode: "execute",
      prometheusUrl: null,
      limits: { turns: 60, workingMs: 900_000, usd: 2, outputTokensPerTurn: 8_000 },
    });
  });

  test("a flag wins over its variable; an empty variable is none", () => {
    const config = agentConfig(["/x/t.db", "--once", "--operator", "noop", "--max-usd", "0.5"], {
      ...env,
      OPERATOR: "restart-everything",
      MAX_USD: "",
      MODEL: "",
    });
    expect(config).toMatchObject({ ticketsPath: "/x/t.db", once: true, operator: "noop", model: null });
    expect(config.limits.usd).toBe(0.5);
  });

  test.each(["control:http://compose-agent:8701", "control:unix:/run/control.sock"])(
    "compose mode: the flag wins over the variable, ENGINE is %s",
    (engine) => {
      const config = agentConfig(["--compose-mode"], { ...env, ENGINE: engine, COMPOSE_AGENT_ENABLED: "false" });
      expect(config).toMatchObject({ engine, control: { composeAgentEnabled: true } });
      expect(agentConfig(["--no-compose-mode"], { ...env, COMPOSE_AGENT_ENABLED: "1" }).control).toMatchObject({
        composeAgentEnabled: false,
      });
    },
  );

  test.each<[string, Record<string, string>, readonly string[], RegExp]>([
    ["no PD", { PD_URLS: "" }, [], /^PD_URLS is missing/],
    ["PD that is no URL", { PD_URLS: "pd0:2379" }, [], /PD_URLS/],
    ["no instance", { INSTANCE_ID: "" }, [], /^INSTANCE_ID is missing/],
    ["no engine", { ENGINE: "" }, [], /^ENGINE is missing/],
    ["a strange engine", { ENGINE: "podman" }, [], /ENGINE must be/],
    ["a compose-agent at no address", { ENGINE: "control:somewhere" }, [], /ENGINE must be/],
    [
      "compose mode with an engine of its own",
      { COMPOSE_AGENT_ENABLED: "yes" },
      [],
      /compose mode is on, but ENGINE is unix/,
    ],
    ["a compose-agent in legacy mode", { ENGINE: "control:http://c:8701" }, [], /but compose mode is off/],
    [
      "a mode that is no word for yes or no",
      { COMPOSE_AGENT_ENABLED: "on" },
      [],
      /^COMPOSE_AGENT_ENABLED must be true, false/,
    ],
    ["endpoints that are no JSON", { ENDPOINTS: "{" }, [], /ENDPOINTS is not JSON/],
    ["an unknown operator", { OPERATOR: "wizard" }, [], /OPERATOR must be/],
    ["an unknown mode", { OPERATOR_SAFETY_MODE: "yolo" }, [], /OPERATOR_SAFETY_MODE must be/],
    ["a limit that is no number", { MAX_USD: "two" }, [], /MAX_USD/],
    ["a limit of nothing", {}, ["--max-turns", "0"], /MAX_TURNS/],
    ["claude without a key", { OPERATOR: "claude" }, [], /ANTHROPIC_API_KEY/],
    ["an unknown flag", {}, ["--fast"], /--fast/],
    ["two files", {}, ["a.db", "b.db"], /one ticket file/],
  ])("%s: one sentence that names it", (_, change, argv, message) => {
    expect(() => agentConfig(argv, { ...env, ...change })).toThrow(message);
    try {
      agentConfig(argv, { ...env, ...change });
    } catch (error) {
      expect((error as Error).message.split("\n")).toHaveLength(1);
    }
  });
});
