/** What `exec` runs as `tikv-ctl` in a store of the process engine, and `/tikv-ctl` in the image. */
import { errorText } from "../../../../harness/base/errors.ts";
import { ask } from "./ask.ts";
import { tikvCtl } from "./tikv-ctl.ts";

try {
  process.stdout.write(await tikvCtl(process.argv.slice(2), ask));
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}
