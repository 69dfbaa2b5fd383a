import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError } from "../../harness/base/errors.ts";
import { jsonLog } from "../../harness/base/log.ts";
import { announceMode, readSettings, type SettingsInput } from "../../harness/control/settings.ts";
import { textOf } from "../support/repository.ts";

// The config file is read by its path, so that these few need a folder.
const folder = mkdtempSync(join(tmpdir(), "settings-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HOME = join(folder, "home");

function file(content: unknown, name = "config.json"): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const read = (env: Record<string, string> = {}, flags: SettingsInput["flags"] = {}) =>
  readSettings({ env: { HOME, ...env }, flags });

const sourceOf = (variable: string, ...args: Parameters<typeof read>) =>
  read(...args).shown.find((one) => one.variable === variable);

describe("settings of the control plane", () => {
  test("what nobody says has a default", () => {
    const { settings, file: used } = read();
    expect(used).toBeNull();
    expect(settings).toMatchObject({
      composeAgentEnabled: false,
      controlPlane: "status_panel",
      deploymentHash: "default",
      vault: null,
      tokenDir: join(HOME, ".local/state/operator-tokens"),
      tokenRefreshMs: 60_000,
      tokenGraceMs: 300_000,
      watchdog: {
        intervalMs: 30_000,
        backoffBaseMs: 10_000,
        backoffFactor: 1.5,
        maxAttempts: 5,
        allowLegacyFallback: false,
      },
    });
  });

  test.each([
    ["true", true],
    ["TRUE", true],
    ["1", true],
    ["Yes", true],
    ["false", false],
    ["False", false],
    ["0", false],
    ["NO", false],
  ])("COMPOSE_AGENT_ENABLED=%s is %s, in the config file too", (word, value) => {
    expect(read({ COMPOSE_AGENT_ENABLED: word }).settings.composeAgentEnabled).toBe(value);
    const config = file({ compose_agent_enabled: word });
    expect(read({ OPERATOR_CONFIG: config }).settings.composeAgentEnabled).toBe(value);
  });

  test.each(["on", "off", "y", "2", "tru", "true!", "null"])("COMPOSE_AGENT_ENABLED=%s is an error", (word) => {
    expect(() => read({ COMPOSE_AGENT_ENABLED: word })).toThrow(
      `COMPOSE_AGENT_ENABLED must be true, false, 1, 0, yes or no, not "${word}"`,
    );
    expect(() => read({}, { config: file({ compose_agent_enabled: word }) })).toThrow(ConfigError);
  });

  test("a flag wins over the environment, that over the file, that over the default; each is named as the source", () => {
    const config = file({ compose_agent_enabled: true, control_plane: "compose_agent" });
    const env = { OPERATOR_CONFIG: config, COMPOSE_AGENT_ENABLED: "no" };
    expect(sourceOf("COMPOSE_AGENT_ENABLED", env, { composeMode: true })).toMatchObject({
      value: "true",
      source: "flag",
      where: "--compose-mode",
    });
    expect(sourceOf("COMPOSE_AGENT_ENABLED", env)).toMatchObject({ value: "false", source: "environment" });
    expect(sourceOf("COMPOSE_AGENT_ENABLED", { OPERATOR_CONFIG: config })).toMatchObject({
      value: "true",
      source: "file",
      where: config,
    });
    expect(sourceOf("CONTROL_PLANE", env)).toMatchObject({ value: "compose_agent", source: "file" });
    expect(sourceOf("COMPOSE_AGENT_ENABLED", {})).toMatchObject({ value: "false", source: "default" });
    expect(read(env, { composeMode: false }).settings.composeAgentEnabled).toBe(false);
  });

  test("an empty variable is none", () => {
    expect(sourceOf("CONTROL_PLANE", { CONTROL_PLANE: "" })).toMatchObject({ source: "default" });
  });

  test("the file is looked for where the user's settings are, not where agents write", () => {
    file({ control_plane: "compose_agent" }, "home/.config/operator/config.json");
    file({ control_plane: "nonsense" }, "home/.operator/config.json");
    expect(read().settings.controlPlane).toBe("compose_agent");
    rmSync(join(HOME, ".config"), { recursive: true });
  });

  test("the watchdog's are WATCHDOG_… and below watchdog; its fallback is by itself", () => {
    const config = file({ watchdog: { interval_ms: 5_000, max_attempts: 3 }, allow_legacy_fallback: true });
    const { settings } = read({ OPERATOR_CONFIG: config, WATCHDOG_MAX_ATTEMPTS: "7", WATCHDOG_BACKOFF_FACTOR: "2" });
    expect(settings.watchdog).toMatchObject({
      intervalMs: 5_000,
      maxAttempts: 7,
      backoffFactor: 2,
      allowLegacyFallback: true,
    });
  });

  test("Vault's are read together; its token only from the environment, and never shown", () => {
    const env = {
      VAULT_ADDRESS: "http://127.0.0.1:8200/",
      VAULT_TOKEN: "s.very-secret",
      VAULT_AGENT_PATH_PREFIX: "/kv/agents/",
      VAULT_TOKEN_KEY: "compose_agent_token",
      VAULT_KV_VERSION: "1",
    };
    const { settings, shown } = read(env);
    expect(settings.vault).toEqual({
      address: "http://127.0.0.1:8200",
      token: "s.very-secret",
      pathPrefix: "kv/agents",
      tokenKey: "compose_agent_token",
      namespace: null,
      kvVersion: 1,
    });
    expect(JSON.stringify(shown)).not.toContain("very-secret");
    expect(shown.find(({ variable }) => variable === "VAULT_TOKEN")).toMatchObject({ value: "[set]" });
  });

  test.each<[string, Record<string, string>, unknown, RegExp]>([
    [
      "a plane that does not exist",
      { CONTROL_PLANE: "root" },
      null,
      /^CONTROL_PLANE must be status_panel or compose_agent$/,
    ],
    ["a deployment that climbs out of its folder", { DEPLOYMENT_HASH: "../other" }, null, /^DEPLOYMENT_HASH must be/],
    ["an agent's name with a line break", { AGENT_ID: "a\nX-Other: 1" }, null, /^AGENT_ID must be/],
    ["a dashboard that is a file", { DASHBOARD_URL: "file:///etc/passwd" }, null, /^DASHBOARD_URL must be an http/],
    ["a dashboard with a password", { DASHBOARD_URL: "http://a:b@c" }, null, /must not carry a name or password/],
    ["Vault without its token", { VAULT_ADDRESS: "http://vault:8200" }, null, /VAULT_TOKEN, which opens it, is not/],
    ["a prefix that climbs", { VAULT_AGENT_PATH_PREFIX: "secret/../sys" }, null, /^VAULT_AGENT_PATH_PREFIX must be/],
    ["a number that is none", { WATCHDOG_INTERVAL_MS: "soon" }, null, /^WATCHDOG_INTERVAL_MS must be a number/],
    ["a number out of bounds", { TOKEN_REFRESH_SECONDS: "0" }, null, /^TOKEN_REFRESH_SECONDS must be a number/],
    ["a file that is not there", { OPERATOR_CONFIG: "/nowhere/config.json" }, null, /config file cannot be read/],
    ["a file that is no JSON", {}, "{compose_agent_enabled: yes", /is not JSON$/],
    ["a key that does not exist", {}, { compose_agent: true }, /config.json: compose_agent is no setting/],
    ["a watchdog key that does not exist", {}, { watchdog: { interval: 1 } }, /watchdog.interval is no setting/],
    ["a secret in the file", {}, { vault_token: "s.secret" }, /belongs in the environment/],
  ])("%s: one sentence that names it", (_, env, content, message) => {
    const act = () => read({ ...env, ...(content === null ? {} : { OPERATOR_CONFIG: file(content) }) });
    expect(act).toThrow(ConfigError);
    expect(act).toThrow(message);
    try {
      act();
    } catch (error) {
      expect((error as Error).message.split("\n")).toHaveLength(1);
    }
  });

  test("the config.json of the public original can be used as it is", () => {
    const config = file({
      domain: "x",
      apps_info: "a-1",
      reqdata: { email: "e" },
      ssl: "l",
      compose_agent_enabled: true,
    });
    expect(read({ OPERATOR_CONFIG: config }).settings.composeAgentEnabled).toBe(true);
  });

  test("docs/configuration.md lists every setting, with its key and its default", () => {
    const rows = textOf("docs/configuration.md").matchAll(/^\| `([A-Z_]+)` +\| (\S+) +\| (\S+) /gm);
    const listed = [...rows].map(([, variable = "", key = "", fallback = ""]) => [variable, key, fallback]);
    const shown = read({ HOME: "/home/somebody" }).shown.map(({ variable, key, value }) => {
      const said = { "-": "none", "/home/somebody/.local/state/operator-tokens": "~/.local/state/operator-tokens" }[
        value
      ];
      return [variable, key === null ? "-" : `\`${key}\``, said === "none" ? said : `\`${said ?? value}\``];
    });
    const other: Record<string, string> = { VAULT_TOKEN_KEY: "`<plane>_token`", VAULT_KV_VERSION: "`auto`" };
    const expected = shown.map(([variable = "", key, fallback]) => [variable, key, other[variable] ?? fallback]);
    expect(listed.toSorted()).toEqual(expected.toSorted());
  });

  test("the example file is valid and says what is the default", () => {
    const config = file(textOf("docker/agent/config.json.example"));
    const { settings, shown } = read({ OPERATOR_CONFIG: config });
    expect(shown.filter(({ source }) => source === "file").length).toBeGreaterThan(10);
    const { tokenDir: _a, ...example } = settings;
    const { tokenDir: _b, ...fallback } = read().settings;
    expect(example).toEqual({ ...fallback, composeAgentEnabled: true });
  });
});

describe("what the programs say first", () => {
  const said = (composeAgentEnabled: boolean) => {
    const lines: string[] = [];
    const log = jsonLog({ stream: { write: (line: string) => void lines.push(line) } });
    announceMode({ composeAgentEnabled, controlPlane: "compose_agent" }, log);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  test("legacy: a warning, and the plane", () => {
    expect(said(false)).toMatchObject([
      { level: "warn", event: "compose_agent=false - running in legacy mode" },
      { level: "info", event: "Control plane identified", control_plane: "compose_agent" },
    ]);
  });

  test("compose: that the sidecar handles Docker, and the plane", () => {
    expect(said(true)).toMatchObject([
      { level: "info", event: "compose_agent=true - compose-agent sidecar handling Docker operations" },
      { level: "info", event: "Control plane identified", control_plane: "compose_agent" },
    ]);
  });
});
