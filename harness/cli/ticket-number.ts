import { InvalidArgumentError } from "commander";

/** A ticket's number as people write it: 3 or #3. */
export function ticketNumber(text: string): number {
  const id = Number(text.replace(/^#/, ""));
  if (!Number.isInteger(id) || id < 1) throw new InvalidArgumentError("a ticket's number, e.g. 3");
  return id;
}
