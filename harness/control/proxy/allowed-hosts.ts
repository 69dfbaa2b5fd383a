import { ConfigError } from "../../base/errors.ts";

const MODEL_API = "https://api.anthropic.com";
const PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/**
 * Where the agent may go: the model's API, and Vault where its token comes from there. As CONNECT names them.
 *
 * @throws ConfigError when a setting is no URL.
 */
export function allowedHosts(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const urls = {
    ANTHROPIC_BASE_URL: env["ANTHROPIC_BASE_URL"] || MODEL_API,
    VAULT_ADDRESS: env["VAULT_ADDRESS"] || null,
  };
  return Object.entries(urls).flatMap(([name, url]) => (url === null ? [] : [hostAndPort(name, url)]));
}

function hostAndPort(name: string, text: string): string {
  const url = URL.parse(text);
  const port = url === null ? undefined : PORTS[url.protocol];
  if (url === null || port === undefined || url.hostname === "")
    throw new ConfigError(`${name} must be an http or https URL`);
  return `${url.hostname}:${url.port || port}`.toLowerCase();
}
