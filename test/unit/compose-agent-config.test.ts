import { describe, expect, test } from "vitest";
import { composeAgentConfig } from "../../harness/control/compose-agent-config.ts";

const NEEDED = { ENGINE: "docker:tikv", INSTANCE_ID: "ab12" };
const read = (argv: readonly string[] = [], env: Readonly<Record<string, string>> = {}) =>
  composeAgentConfig(argv, { ...NEEDED, ...env });

describe("the compose-agent's own settings", () => {
  test("have defaults for all but engine and instance; it listens on loopback", () => {
    expect(read()).toMatchObject({
      ticketsPath: null,
      check: false,
      engine: "docker:tikv",
      network: null,
      instance: "ab12",
      tcp: { host: "127.0.0.1", port: 8701 },
      socketPath: null,
      mode: "execute",
      composeMode: undefined,
      configFile: undefined,
    });
    expect(() => composeAgentConfig([], {})).toThrow(/ENGINE is missing/);
    expect(() => composeAgentConfig([], { ENGINE: "docker:tikv" })).toThrow(/INSTANCE_ID is missing/);
  });

  test("a flag wins over its variable, and an empty variable is none", () => {
    const env = { CONTROL_LISTEN: "0.0.0.0:9000", OPERATOR_SAFETY_MODE: "observe", NETWORK: "" };
    expect(read(["--listen", "[::1]:9001", "--compose-mode", "/t/tickets.db"], env)).toMatchObject({
      tcp: { host: "::1", port: 9001 },
      mode: "observe",
      network: null,
      composeMode: true,
      ticketsPath: "/t/tickets.db",
    });
    expect(read(["--no-compose-mode"]).composeMode).toBe(false);
  });

  test("each folder of what only it may touch lies below STATE_DIR, and can be elsewhere", () => {
    expect(read([], { STATE_DIR: "/s", AUDIT_KEY_DIR: "/keys" }).home).toEqual({
      audit: "/s/audit",
      auditKey: "/keys",
      auditAnchor: "/s/audit-anchor",
      queue: "/s/queue",
    });
  });

  test("it listens somewhere: TCP, a socket, or both", () => {
    expect(read([], { CONTROL_LISTEN: "none", CONTROL_SOCKET: "/run/control.sock" })).toMatchObject({
      tcp: null,
      socketPath: "/run/control.sock",
    });
    expect(() => read([], { CONTROL_LISTEN: "none" })).toThrow(/nothing to listen on/);
  });

  test.each([
    [{ ENGINE: "tcp://1.2.3.4" }, /ENGINE must be/],
    [{ CONTROL_LISTEN: "8701" }, /CONTROL_LISTEN must be host:port/],
    [{ OPERATOR_SAFETY_MODE: "yolo" }, /OPERATOR_SAFETY_MODE must be/],
    [{ MIN_WORKERS: "8", MAX_WORKERS: "4" }, /MIN_WORKERS must not be more than MAX_WORKERS/],
    [{ MAX_WORKERS: "many" }, /MAX_WORKERS must be a number/],
    [{ INSTANCE_ID: "../x" }, /INSTANCE_ID/],
  ])("%j is one sentence that names the setting", (env, sentence) => {
    expect(() => read([], env)).toThrow(sentence);
  });

  test("an unknown flag, or a second ticket file, is refused", () => {
    expect(() => read(["--verbose"])).toThrow(/--verbose/);
    expect(() => read(["a", "b"])).toThrow(/one ticket file at most/);
  });
});
