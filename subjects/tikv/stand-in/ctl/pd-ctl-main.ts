/**
 * What `exec` runs as `pd-ctl` in a PD of the process engine: the sub-commands of the real one that only read, with the
 * same output (PD's JSON, indented).
 */
import { errorText } from "../../../../harness/base/errors.ts";
import { ask } from "./ask.ts";
import { ctlRequest, indented } from "./pd-ctl.ts";

try {
  const { address, path } = ctlRequest(process.argv.slice(2));
  const { status, body } = await ask(address, path);
  process.stdout.write(status === 200 ? indented(body) : `[${status}] ${body}\n`);
  process.exitCode = status === 200 ? 0 : 1;
} catch (error) {
  process.stdout.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}
