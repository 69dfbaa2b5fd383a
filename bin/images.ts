/** Builds our images where their sources have changed: all, or those that are named. `node bin/node.mjs bin/images.ts` */
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
  if (await ensureImage(image, signal)) process.stdout.write(`built ${image.tag} (${name})\n`);
}
