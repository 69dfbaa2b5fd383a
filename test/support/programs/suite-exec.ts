/** What the contract suite runs inside a component: `echo <text>`, `exit <code>` or `hang`. */
const [what, argument] = process.argv.slice(2);
if (what === "echo") process.stdout.write(`${argument}\n`);
if (what === "exit") process.exitCode = Number(argument);
if (what === "hang") setInterval(() => undefined, 60_000);
