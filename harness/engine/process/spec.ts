import { z } from "zod";

const port = z.int().min(1).max(65_535);

/** Docker's words and meanings; `max` counts only for `on-failure` (0 = without end). */
export const restartPolicySchema = z.strictObject({
  name: z.enum(["no", "always", "on-failure", "unless-stopped"]),
  max: z.int().nonnegative(),
});

/**
 * One process that the supervisor owns. The operator reads `component`, `image`, ports and policy; never `env`, paths
 * or `program`.
 */
export const nodeSpecSchema = z.strictObject({
  component: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  role: z.string(),
  /** Neutral name that inspection shows, e.g. `pingcap/tikv:v8.5.5`. People are told elsewhere what really runs. */
  image: z.string(),
  /** A Node script (absolute path) and its flags. Flags name paths relative to `cwd`, so that no log shows ours. */
  argv: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()),
  /** Node folder, made when missing. */
  cwd: z.string(),
  restartPolicy: restartPolicySchema,
  /** SIGTERM to SIGKILL when `stop` names no grace of its own. */
  stopGraceMs: z.int().nonnegative(),
  /** By service, e.g. `{ "client": 20101 }`. Only for inspection and for the check that they are free. */
  ports: z.record(z.string(), port),
  /** Ours (workload, agent, panel): the operator's socket does not know it. */
  support: z.boolean().default(false),
  /** False = only created. */
  autoStart: z.boolean().default(true),
  /** Closed list for `exec`: program name -> Node script and leading arguments. */
  programs: z.record(z.string(), z.array(z.string()).min(1)).default({}),
});

export type NodeSpec = z.input<typeof nodeSpecSchema>;
export type ParsedNodeSpec = z.output<typeof nodeSpecSchema>;

/** What `supervisor-main.ts` reads from its one argument, a file with mode 0600. */
export const supervisorConfigSchema = z.strictObject({
  instance: z.string(),
  project: z.string(),
  network: z.string(),
  /** Folder of the instance, 0700. */
  stateDir: z.string(),
  /** Folder of the sockets; the state folder unless its path is too long for a socket. */
  socketDir: z.string(),
  /** Bound by the supervisor while it lives: the claim on the instance's block of ports. */
  guardPort: port.nullable(),
  nodes: z.array(nodeSpecSchema),
});

export type SupervisorConfig = z.output<typeof supervisorConfigSchema>;

/** Rules of the link layer. `peers: null` = held from everyone. */
export interface LinkRules {
  readonly version: 1;
  readonly rules: readonly { readonly component: string; readonly peers: readonly string[] | null }[];
}
