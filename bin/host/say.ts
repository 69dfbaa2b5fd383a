/** One line per thing done, none for what was there already. */
export function say(what: string): void {
  process.stdout.write(`host: ${what}\n`);
}
