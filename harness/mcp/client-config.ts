import { stringify } from "smol-toml";

/** The variable in which a client's user keeps the token; its value is never printed into a file. */
export const TOKEN_VARIABLE = "INCIDENT_MCP_TOKEN";

export const CLIENTS = ["claude-code", "codex"] as const;
export type ClientName = (typeof CLIENTS)[number];

export interface ClientConfigOptions {
  readonly transport: "stdio" | "http";
  /** Of `http`. */
  readonly url: string;
  /** Of `stdio`: what the client starts. */
  readonly command: readonly [string, ...string[]];
}

export interface ClientSnippet {
  /** Where it belongs. */
  readonly file: string;
  readonly text: string;
}

/**
 * What makes a client find the incident.
 *
 * Claude Code expands `${VARIABLE}` in command, args, env, url and headers of `.mcp.json`
 * (code.claude.com/docs/en/mcp, "Environment variable expansion in .mcp.json"). Codex reads a bearer token from the
 * variable that `bearer_token_env_var` names, refuses one that stands in the file, and hands on the variables of
 * `env_vars` (developers.openai.com/codex/mcp; openai/codex, codex-rs/config, `McpServerConfig`).
 */
export function clientSnippet(client: ClientName, options: ClientConfigOptions): ClientSnippet {
  switch (client) {
    case "claude-code":
      return {
        file: ".mcp.json of the folder in which claude is started",
        text: `${JSON.stringify({ mcpServers: { incident: claudeCode(options) } }, null, 2)}\n`,
      };
    case "codex":
      return { file: "~/.codex/config.toml", text: `${stringify({ mcp_servers: { incident: codex(options) } })}\n` };
  }
}

function claudeCode({ transport, url, command: [command, ...args] }: ClientConfigOptions): object {
  const token = `\${${TOKEN_VARIABLE}}`;
  return transport === "http"
    ? { type: "http", url, headers: { Authorization: `Bearer ${token}` } }
    : { type: "stdio", command, args, env: { [TOKEN_VARIABLE]: token } };
}

function codex({ transport, url, command: [command, ...args] }: ClientConfigOptions): object {
  // A change may wait for a person: longer than the minute that Codex gives a call by itself.
  const patience = { tool_timeout_sec: 900 };
  return transport === "http"
    ? { url, bearer_token_env_var: TOKEN_VARIABLE, ...patience }
    : { command, args, env_vars: [TOKEN_VARIABLE], ...patience };
}
