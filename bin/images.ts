/**
 * Builds our images where their sources have changed: all, or those that are named, and says how large they are.
 * `node bin/node.mjs bin/images.ts [name ...]`
 */
import { $ } from "zx";
import { ensureImage } from "../harness/engine/images.ts";
import { ownImages } from "../harness/engine/own-images.ts";

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in ownImages));
if (unknown.length > 0) {
  process.stderr.write(`no image ${unknown.join(", ")}; there are: ${Object.keys(ownImages).join(", ")}\n`);
  process.exit(2);
}
const signal = new AbortController().signal;
for (const [name, image] of Object.entries(ownImages)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const built = await ensureImage(image, signal);
  const { stdout } = await $({ quiet: true })`docker image inspect --format ${"{{.Size}}"} ${image.tag}`;
  process.stdout.write(`${built ? "built" : "kept"} ${image.tag} (${name}), ${Math.round(Number(stdout) / 1e6)} MB\n`);
}
