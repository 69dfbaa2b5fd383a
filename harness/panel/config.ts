import { join } from "node:path";
import { z } from "zod";
import { ConfigError } from "../base/errors.ts";
import { DEFAULT_PORT } from "../control/contract.ts";
import type { ControlSettings } from "../control/settings.ts";
import type { Listen } from "./panel.ts";

/** Loopback names of whatever machine the page is opened on, and the container's own. */
const OWN_HOSTS = ["localhost", "127.0.0.1", "[::1]", "statuspanel"];

export const DEFAULT_PAGE_PORT = 8702;

const listen = z
  .string()
  .regex(/^.+:\d{1,5}$/, "must be host:port")
  .transform((text): Listen => {
    const colon = text.lastIndexOf(":");
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
  });
const yes = z
  .string()
  .toLowerCase()
  .pipe(z.enum(["true", "1", "yes", "false", "0", "no"], { error: "must be true or false" }))
  .transform((word) => ["true", "1", "yes"].includes(word));

/** Variables that only the panel reads; those of the whole deployment are in `harness/control/settings.ts`. */
const schema = z.object({
  CONTROL_URL: z
    .string()
    .regex(/^(http:\/\/.+|unix:\/.+)$/, "must be http://host:port or unix:<path>")
    .default(`http://compose-agent:${DEFAULT_PORT}`),
  PANEL_LISTEN: listen.default({ host: "127.0.0.1", port: DEFAULT_PAGE_PORT }),
  PANEL_AGENTS_LISTEN: listen.optional(),
  PANEL_USERS_FILE: z.string().optional(),
  PANEL_HOSTS: z
    .string()
    .default("")
    .transform((text) =>
      text
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== ""),
    ),
  PANEL_NOTICE: z.string().max(300).optional(),
  PANEL_TLS: yes.default(false),
});

export interface PanelConfig {
  readonly control: { readonly url: string } | { readonly socketPath: string };
  readonly page: Listen;
  readonly machines: Listen;
  readonly usersFile: string;
  readonly hosts: readonly string[];
  readonly notice: string | null;
  readonly secureCookie: boolean;
}

/** @throws ConfigError: one sentence that names the variable. */
export function panelConfig(
  env: Readonly<Record<string, string | undefined>>,
  settings: Pick<ControlSettings, "tokenDir">,
): PanelConfig {
  // Compose passes unset variables on as empty ones.
  const said = Object.fromEntries(
    Object.keys(schema.shape).flatMap((name) => ((env[name] ?? "") === "" ? [] : [[name, env[name]]])),
  );
  const read = schema.safeParse(said);
  if (!read.success) {
    const issue = read.error.issues[0];
    throw new ConfigError(`${String(issue?.path[0])} ${issue?.message ?? "is not valid"}`);
  }
  const config = read.data;
  const { CONTROL_URL: url, PANEL_LISTEN: page } = config;
  return {
    control: url.startsWith("unix:") ? { socketPath: url.slice("unix:".length) } : { url },
    page,
    // Beside it: DASHBOARD_URL's default names this port.
    machines: config.PANEL_AGENTS_LISTEN ?? { host: page.host, port: page.port === 0 ? 0 : page.port + 1 },
    usersFile: config.PANEL_USERS_FILE ?? defaultUsersFile(settings.tokenDir),
    hosts: [...OWN_HOSTS, ...config.PANEL_HOSTS],
    notice: config.PANEL_NOTICE ?? null,
    secureCookie: config.PANEL_TLS,
  };
}

/** In the folder of the panel's own token: the one folder that its container has. */
export function defaultUsersFile(tokenDir: string): string {
  return join(tokenDir, "status_panel", "users");
}
