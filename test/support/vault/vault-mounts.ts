import { randomUUID } from "node:crypto";

const kept = (type: string) => ({
  accessor: `${type}_${randomUUID().slice(0, 8)}`,
  description: `${type} store`,
  external_entropy_access: false,
  plugin_version: "",
  seal_wrap: false,
  type,
  uuid: randomUUID(),
});

const config = { default_lease_ttl: 0, force_no_cache: false, max_lease_ttl: 0 };

/** A KV mount as `sys/mounts` describes it. */
export function describedMount(version: "1" | "2"): Record<string, unknown> {
  return {
    ...kept("kv"),
    config,
    deprecation_status: "supported",
    local: false,
    options: { version },
    running_plugin_version: "v2.0.0+builtin.bao",
    running_sha256: "",
  };
}

/** The mounts that every server has besides. */
export function systemMounts(): Record<string, Record<string, unknown>> {
  const running = { options: null, running_plugin_version: "v2.0.0+builtin.bao", running_sha256: "" };
  const passing = (header: string) => ({ ...config, passthrough_request_headers: [header] });
  return {
    "sys/": { ...kept("system"), ...running, config: passing("Accept"), local: false },
    "identity/": { ...kept("identity"), ...running, config: passing("Authorization"), local: false },
    "cubbyhole/": { ...kept("cubbyhole"), ...running, config, local: true },
  };
}
