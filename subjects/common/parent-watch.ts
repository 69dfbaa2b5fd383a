/**
 * Ends this process when the one that started it is gone. The process engine's supervisor holds the other end of our
 * stdin and sets the variable; started by hand or in a container, nothing happens. A node calls it first of all.
 */
export function exitWithParent(env: Readonly<Record<string, string | undefined>> = process.env): void {
  if (env["EXIT_WITH_STDIN"] !== "1") return;
  process.stdin.on("end", () => process.exit(0));
  process.stdin.on("error", () => process.exit(0));
  process.stdin.resume();
}
