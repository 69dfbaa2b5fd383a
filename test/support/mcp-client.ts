import { resolve } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const MAIN = resolve(import.meta.dirname, "../../harness/cli/main.ts");

/** MCP's own client, which starts `lab mcp serve --stdio` as a user's configuration makes it do. Close it. */
export async function mcpOverStdio(token: string, env: Readonly<Record<string, string>>): Promise<Client> {
  const client = new Client({ name: "some stdio client", version: "3.2.1" });
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [MAIN, "mcp", "serve", "--stdio"],
      env: { ...env, INCIDENT_MCP_TOKEN: token },
      stderr: "ignore",
    }),
  );
  return client;
}
