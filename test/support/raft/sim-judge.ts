import type { Entry, RaftNode, RoleState } from "../../../subjects/common/raft/index.ts";
import {
  firstUnexplained,
  registerModel,
  withoutUnseen,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
} from "./linearizable.ts";

/** What a schedule is held to. The first five are those of the Raft paper (figure 3); all are named in failures. */
export type CheckName =
  | "election safety"
  | "log matching"
  | "leader completeness"
  | "state machine safety"
  | "acknowledged stays"
  | "linearizability"
  | "undisturbed leader"
  | "convergence"
  | "liveness"
  | "no exception";

export class BrokenPromise extends Error {
  readonly check: CheckName;

  constructor(check: CheckName, text: string) {
    super(`${check}: ${text}`);
    this.check = check;
  }
}

interface Committed {
  readonly term: number;
  readonly text: string;
  /** The term of whoever applied it first: leaders of later terms must have it. */
  readonly knownIn: number;
}

interface GroupRecord {
  readonly leaders: Map<number, number>;
  /** By index, then by term. */
  readonly written: Map<number, Map<number, { readonly before: number | null; readonly text: string }>>;
  readonly committed: Committed[];
  readonly acknowledged: Map<number, number>;
}

/** Sees everything that every process does, and throws when a promise is broken. */
export class SimJudge {
  readonly #groups = new Map<number, GroupRecord>();
  readonly #histories = new Map<number, (Operation<RegisterInput, RegisterOutput> | null)[]>();
  elections = 0;

  #group(id: number): GroupRecord {
    let record = this.#groups.get(id);
    if (record === undefined) {
      record = { leaders: new Map(), written: new Map(), committed: [], acknowledged: new Map() };
      this.#groups.set(id, record);
    }
    return record;
  }

  onRole(group: number, process: number, node: RaftNode, { role, term }: RoleState): void {
    if (role !== "leader") return;
    const { leaders, committed } = this.#group(group);
    const other = leaders.get(term);
    if (other !== undefined && other !== process)
      throw new BrokenPromise("election safety", `${other} and ${process} both lead group ${group} in term ${term}`);
    if (other === undefined) this.elections++;
    leaders.set(term, process);
    for (let index = committed.length - 1; index >= node.firstIndex; index--) {
      const known = committed[index];
      if (known === undefined || known.knownIn >= term) continue;
      if (node.termOf(index) !== known.term)
        throw new BrokenPromise(
          "leader completeness",
          `${process}, leader of group ${group} in term ${term}, lacks ${index}`,
        );
      break;
    }
  }

  onWritten(group: number, node: RaftNode | undefined, entries: readonly Entry[]): void {
    const { written } = this.#group(group);
    let before = node?.termOf((entries[0]?.index ?? 1) - 1) ?? null;
    for (const { index, term, kind, data } of entries) {
      let terms = written.get(index);
      if (terms === undefined) written.set(index, (terms = new Map()));
      const known = terms.get(term);
      const text = kind + data.toString("latin1");
      if (known === undefined) terms.set(term, { before, text });
      else if (known.text !== text || (known.before !== null && before !== null && known.before !== before))
        throw new BrokenPromise(
          "log matching",
          `group ${group} has two different logs that end in ${index} of term ${term}`,
        );
      before = term;
    }
  }

  onApplied(group: number, process: number, node: RaftNode, { index, term, kind, data }: Entry): void {
    const { committed } = this.#group(group);
    const known = committed[index];
    const text = kind + data.toString("latin1");
    if (known === undefined) committed[index] = { term, text, knownIn: node.roleState.term };
    else if (known.term !== term || known.text !== text)
      throw new BrokenPromise(
        "state machine safety",
        `${process} applies another entry of group ${group} at ${index}: term ${term}, not ${known.term}`,
      );
  }

  onAcknowledged(group: number, index: number, term: number): void {
    this.#group(group).acknowledged.set(index, term);
  }

  /** A quiet leader's log has everything that was ever acknowledged. */
  checkAcknowledged(group: number, node: RaftNode): void {
    for (const [index, term] of this.#group(group).acknowledged)
      if (index >= node.firstIndex && node.termOf(index) !== term)
        throw new BrokenPromise("acknowledged stays", `entry ${index} of group ${group}, term ${term}, is gone`);
  }

  /** An operation begins; as long as nobody ends it, nobody knows. @returns its end: undefined = it never happened. */
  begin(key: number, input: RegisterInput, call: number): (output: RegisterOutput | undefined, at: number) => void {
    let history = this.#histories.get(key);
    if (history === undefined) this.#histories.set(key, (history = []));
    const at = history.push({ input, output: null, call, return: Infinity }) - 1;
    return (output, end) => (history[at] = output === undefined ? null : { input, output, call, return: end });
  }

  checkHistories(): void {
    for (const [key, all] of this.#histories) {
      const history = all.filter((operation) => operation !== null);
      const operation = firstUnexplained(withoutUnseen(history), registerModel);
      if (operation !== null)
        throw new BrokenPromise(
          "linearizability",
          `nothing explains key ${key}: ${JSON.stringify(operation.input)} -> ${String(operation.output)}` +
            ` from ${operation.call} to ${operation.return} of ${history.length} operations`,
        );
    }
  }
}
