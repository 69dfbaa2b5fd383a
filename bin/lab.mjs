#!/usr/bin/env node
// `lab`: in a clone it runs the sources, from a packed tarball (types are not stripped under node_modules) the
// compiled files. See toolchain.mjs for how the right Node and the packages get there.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensurePackages, findNode, give, root, run } from "./toolchain.mjs";

const source = join(root, "harness", "cli", "main.ts");
const compiled = join(root, "dist", "harness", "cli", "main.js");
const program = existsSync(source) ? source : compiled;
if (!existsSync(program)) give(`${root} holds neither the sources nor the compiled files; reinstall agent-lab`);

const node = findNode();
ensurePackages(node);
await run(node, program, process.argv.slice(2));
