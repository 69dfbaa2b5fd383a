export type Capability = "create" | "read" | "update" | "delete" | "list" | "patch" | "sudo";

interface Rule {
  readonly path: string;
  readonly capabilities: readonly string[];
}

/** What the policy `default` lets every token do with itself. */
const DEFAULT_RULES: readonly Rule[] = [
  { path: "auth/token/lookup-self", capabilities: ["read"] },
  { path: "auth/token/renew-self", capabilities: ["update"] },
  { path: "auth/token/revoke-self", capabilities: ["update"] },
];

/** ACL policies as far as ours use them: `path "…" { capabilities = […] }` with `+` for one segment and a last `*`. */
export class VaultPolicies {
  readonly #rules = new Map<string, readonly Rule[]>([["default", DEFAULT_RULES]]);

  write(name: string, hcl: string): void {
    const plain = hcl.replaceAll(/#[^\n]*/g, "");
    const rules = [...plain.matchAll(/path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}/g)];
    if (plain.replaceAll(/path\s+"[^"]+"\s*\{[^}]*\}/g, "").trim() !== "" || rules.length === 0)
      throw new Error(`not a policy: ${hcl}`);
    this.#rules.set(
      name,
      rules.map(([, path = "", list = ""]) => ({
        path,
        capabilities: [...list.matchAll(/"([a-z]+)"/g)].map(([, word = ""]) => word),
      })),
    );
  }

  allows(policies: readonly string[], path: string, capability: Capability): boolean {
    if (policies.includes("root")) return true;
    return this.#of(policies).some((rule) => matches(rule.path, path) && rule.capabilities.includes(capability));
  }

  /** Whether any rule has to do with the mount: what `sys/internal/ui/mounts` asks. */
  reaches(policies: readonly string[], mount: string): boolean {
    return policies.includes("root") || this.#of(policies).some((rule) => rule.path.startsWith(mount));
  }

  #of(policies: readonly string[]): readonly Rule[] {
    return policies.flatMap((name) => this.#rules.get(name) ?? []);
  }
}

function matches(pattern: string, path: string): boolean {
  const source = pattern
    .split("/")
    .map((part) => (part === "+" ? "[^/]+" : part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)))
    .join("/")
    .replace(/\\\*$/, ".*");
  return new RegExp(`^${source}$`).test(path);
}
