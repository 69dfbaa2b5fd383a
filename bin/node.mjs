// `node bin/node.mjs <script> …`: any script of the clone, with the right Node and packages.
import { join } from "node:path";
import { ensurePackages, findNode, give, root, run } from "./toolchain.mjs";

const [script, ...args] = process.argv.slice(2);
if (script === undefined) give("usage: node bin/node.mjs <script> [arguments]", 2);
const node = findNode();
ensurePackages(node);
await run(node, join(root, script), args);
