import type { Fence } from "../control/contract.ts";
import type { Incident } from "../protocol.ts";
import type { PeopleAsked } from "./propose.ts";

/** What the agent works on right now: a control server asks of each write what it is for, and who allowed it. */
export class CurrentWork {
  #incident: Incident | null = null;
  #people: PeopleAsked | null = null;

  begin(incident: Incident, people: PeopleAsked | null): void {
    this.#incident = incident;
    this.#people = people;
  }

  end(): void {
    this.#incident = null;
    this.#people = null;
  }

  fence(): Fence | null {
    if (this.#incident === null) return null;
    const { batchKey, holder, attempt } = this.#incident;
    return { incident: batchKey, holder, attempt };
  }

  /** For people. */
  inWords(): string {
    if (this.#incident === null) return "waits for an incident";
    const { batchKey, attempt } = this.#incident;
    return `works on incident ${batchKey}, attempt ${attempt}`;
  }

  /** Of the write that is being carried out; null where nobody had to be asked. */
  approval(): string | null {
    return this.#people?.current() ?? null;
  }
}
