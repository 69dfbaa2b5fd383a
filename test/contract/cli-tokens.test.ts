import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EXIT } from "../../harness/cli/exit-codes.ts";
import { PLANES } from "../../harness/control/planes.ts";
import { lab } from "../support/cli.ts";
import { VaultServer } from "../support/vault/vault-server.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tokens-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const env = (more: Record<string, string> = {}) => ({ HOME: home, ...more });
const tokenFile = (plane: string) => join(home, ".local/state/operator-tokens", plane, "token.json");
const tokenOf = (plane: string) => (JSON.parse(readFileSync(tokenFile(plane), "utf8")) as { token: string }).token;

describe("lab token", () => {
  test("rotate makes the first one and the next; show names both by fingerprint; no token is ever shown", async () => {
    const none = await lab(["token", "show"], { env: env() });
    expect(none.out).toMatch(/^status_panel: no token in files .*\ncompose_agent: no token/);
    let said = "";
    const run = async (...args: string[]) => {
      const { code, out, err } = await lab(["token", ...args], { env: env() });
      expect(code).toBe(0);
      said += out + err;
      return out;
    };
    const tokens: string[] = [];
    for (const plane of PLANES) {
      await run("rotate", plane);
      tokens.push(tokenOf(plane));
    }
    await run("rotate", "status_panel", "--grace", "120");
    tokens.push(tokenOf("status_panel"));
    expect(statSync(tokenFile("status_panel")).mode & 0o777).toBe(0o600);
    const views = JSON.parse(await run("show", "--json")) as any[];
    expect(views).toMatchObject([
      {
        plane: "status_panel",
        problem: null,
        predecessors: [{ fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) }],
      },
      { plane: "compose_agent", problem: null, predecessors: [] },
    ]);
    expect(await run("show", "status_panel")).toContain(`predecessor ${views[0].predecessors[0].fingerprint}`);
    await run("rotate", "status_panel", "--grace", "0");
    tokens.push(tokenOf("status_panel"));
    expect(await run("show", "status_panel")).not.toContain("predecessor");
    await run("revoke", "status_panel", "--yes");
    expect(await run("show", "status_panel")).toContain("no token");
    for (const token of tokens) expect(said).not.toContain(token);
  });

  test("revoke asks for the plane's name, and refuses where nobody can be asked", async () => {
    await lab(["token", "rotate", "compose_agent"], { env: env() });
    const alone = await lab(["token", "revoke", "compose_agent"], { env: env() });
    expect([alone.code, alone.err]).toEqual([EXIT.usage, "error: nobody is here to be asked: --yes does without\n"]);
    const wrong = await lab(["token", "revoke", "compose_agent"], { env: env(), answer: "yes" });
    expect(wrong.code).toBe(EXIT.usage);
    expect(tokenOf("compose_agent")).not.toBe("");
    const right = await lab(["token", "revoke", "compose_agent"], { env: env(), answer: "compose_agent" });
    expect(right.code).toBe(0);
    expect(() => tokenOf("compose_agent")).toThrow();
  });

  test("an empty token is said to be one, and rotate puts it right", async () => {
    await lab(["token", "rotate", "status_panel"], { env: env() });
    writeFileSync(tokenFile("status_panel"), '{"token":""}');
    const { out } = await lab(["token", "show", "status_panel"], { env: env() });
    expect(out).toMatch(/^status_panel: cannot be used: the token in .* is empty/);
    expect((await lab(["token", "rotate", "status_panel"], { env: env() })).code).toBe(0);
    expect(tokenOf("status_panel").length).toBeGreaterThan(32);
  });

  test("in Vault: the same words; a refusal is one sentence and code 5", async () => {
    await using server = await VaultServer.start();
    const vault = { VAULT_ADDRESS: server.url, VAULT_TOKEN: server.root, DEPLOYMENT_HASH: "d3adb33f" };
    const rotated = await lab(["token", "rotate", "compose_agent", "--json"], { env: env(vault) });
    expect(JSON.parse(rotated.out)).toMatchObject({ plane: "compose_agent", provider: `vault ${server.url}` });
    expect(server.asked).toContain("POST /v1/secret/data/agent/d3adb33f/compose_agent_token");
    server.seal();
    const sealed = await lab(["token", "rotate", "compose_agent"], { env: env(vault) });
    expect([sealed.code, sealed.out]).toEqual([EXIT.environment, ""]);
    expect(sealed.err).toMatch(/^error: Vault at .* is sealed: somebody has to unseal it\n$/);
    for (const { out, err } of [rotated, sealed]) expect(out + err).not.toContain(server.root);
  });

  test.each([
    [["rotate", "root"], /It is status_panel or compose_agent/],
    [["rotate", "status_panel", "--grace", "soon"], /Seconds, from 0 to 86400/],
    [["rotate"], /missing required argument 'plane'/],
  ])("%j is refused with code 2", async (args, sentence) => {
    const { code, err } = await lab(["token", ...args], { env: env() });
    expect(code).toBe(EXIT.usage);
    expect(err).toMatch(sentence);
  });
});

describe("lab config show", () => {
  test("names each value's source; secrets are masked", async () => {
    const file = join(home, "config.json");
    writeFileSync(file, JSON.stringify({ control_plane: "compose_agent", compose_agent_enabled: false }));
    const { code, out, err } = await lab(["config", "show", "--compose-mode", "--config", file], {
      env: env({ DEPLOYMENT_HASH: "d3adb33f", VAULT_ADDRESS: "http://vault:8200", VAULT_TOKEN: "s.hidden-away" }),
    });
    expect(code).toBe(0);
    const row = (name: string) => out.split("\n").find((line) => line.startsWith(`${name} `));
    expect(row("COMPOSE_AGENT_ENABLED")).toMatch(/ true +flag \(--compose-mode\)/);
    expect(row("CONTROL_PLANE")).toMatch(/ compose_agent +file \(.*config\.json\)/);
    expect(row("DEPLOYMENT_HASH")).toMatch(/ d3adb33f +environment/);
    expect(row("WATCHDOG_MAX_ATTEMPTS")).toMatch(/ 5 +default/);
    expect(row("VAULT_TOKEN")).toMatch(/ \[set\] +environment/);
    expect(out + err).not.toContain("hidden-away");
    expect(err).toBe(`config file: ${file}\n`);
  });

  test("a wrong value is one sentence and code 2", async () => {
    const { code, out, err } = await lab(["config", "show"], { env: env({ COMPOSE_AGENT_ENABLED: "maybe" }) });
    expect([code, out]).toEqual([EXIT.usage, ""]);
    expect(err).toBe('error: COMPOSE_AGENT_ENABLED must be true, false, 1, 0, yes or no, not "maybe"\n');
  });
});
