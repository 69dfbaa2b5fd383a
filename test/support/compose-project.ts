import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCompose, type Compose } from "../../harness/engine/compose.ts";

export interface ComposeProject extends AsyncDisposable {
  readonly name: string;
  readonly network: string;
  readonly file: string;
  readonly compose: Compose;
}

/**
 * A compose project of a test's own, not started. `$` in `services` is a plain dollar. Disposing removes everything of
 * it, volumes too.
 */
export async function composeProject(
  services: string,
  options: { readonly volumes?: readonly string[]; readonly network?: string } = {},
): Promise<ComposeProject> {
  const name = `test-${randomBytes(4).toString("hex")}`;
  const network = `${name}_net`;
  const folder = await mkdtemp(join(tmpdir(), "compose-"));
  const file = join(folder, "docker-compose.yaml");
  const volumes = (options.volumes ?? []).map((volume) => `  ${volume}: {}\n`).join("");
  await writeFile(
    file,
    `services:\n${services.replaceAll("$", "$$$$")}\n` +
      `networks:\n  default: ${options.network ?? `{ name: ${network} }`}\n` +
      (volumes === "" ? "" : `volumes:\n${volumes}`),
  );
  const compose = await openCompose({ file, project: name }, AbortSignal.timeout(10_000));
  return {
    name,
    network,
    file,
    compose,
    async [Symbol.asyncDispose]() {
      await compose.down({ volumes: true, timeoutMs: 1_000 }, AbortSignal.timeout(60_000)).catch(() => {});
      await rm(folder, { recursive: true });
    },
  };
}
