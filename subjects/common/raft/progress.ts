/** What a leader knows about one member (Raft's matchIndex and nextIndex, with flow control as in etcd-raft). */
export class Progress {
  match = 0;
  next: number;
  /** `probe`: one append at a time until the logs meet; `snapshot`: nothing until it arrived or was given up. */
  state: "probe" | "replicate" | "snapshot" = "probe";
  waiting = false;
  /** What is to be sent to it next: entries if there are any, or at least where the log stands. */
  due: "entries" | "position" | null = null;
  pendingSnapshot = 0;
  snapshotTicks = 0;
  /** Heard from since the last quorum check. */
  active = true;
  /** The latest read round that it confirmed. */
  readRound = 0;

  constructor(next: number) {
    this.next = next;
  }

  get paused(): boolean {
    return this.state === "snapshot" || (this.state === "probe" && this.waiting);
  }

  /** @returns true when the follower has more than was known. */
  acknowledge(index: number): boolean {
    const advanced = index > this.match;
    if (advanced) this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.waiting = false;
    if (this.state === "probe" || (this.state === "snapshot" && this.match >= this.pendingSnapshot)) {
      this.state = "replicate";
      this.next = this.match + 1;
    }
    return advanced;
  }

  /** @returns false when the refusal is about something long settled. */
  refuse(refused: number, goOnAfter: number): boolean {
    if (this.state === "replicate") {
      if (refused <= this.match) return false;
      this.probe();
      return true;
    }
    if (this.next - 1 !== refused) return false;
    this.next = Math.max(Math.min(refused, goOnAfter + 1), this.match + 1);
    this.waiting = false;
    return true;
  }

  probe(): void {
    this.next = this.state === "snapshot" ? Math.max(this.match, this.pendingSnapshot) + 1 : this.match + 1;
    this.state = "probe";
    this.waiting = false;
    this.pendingSnapshot = 0;
  }

  sendSnapshot(index: number): void {
    this.state = "snapshot";
    this.pendingSnapshot = index;
    this.snapshotTicks = 0;
  }
}
