import { randomBytes } from "node:crypto";

/** Makes identifiers. They need not be reproducible: nothing that a verdict depends on is drawn from here. */
export interface Ids {
  /** Lower-case hex of the given number of bytes. */
  hex(bytes: number): string;
}

export const randomIds: Ids = { hex: (bytes) => randomBytes(bytes).toString("hex") };
