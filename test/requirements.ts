/** What the lab promises, and the test that shows it. */
export interface Requirement {
  readonly promise: string;
  /** Test file below `test/` -> titles in it (or their fixed beginnings, where a title has a placeholder). */
  readonly shownBy: Readonly<Record<string, readonly string[]>>;
}

/** One entry per promise, by part. A promise without a test is not made. */
export const REQUIREMENTS: readonly Requirement[] = [
  // ---- the whole path
  {
    promise: "the demo ends with a proven repair; interrupted or killed, nothing is left behind",
    shownBy: {
      "e2e/demo.test.ts": ["the demo breaks a store, sees it repaired and ends with a pass"],
      "e2e/interrupted.test.ts": ["Ctrl-C in mid-fault heals, stops everything, says so, and the record is void"],
      "e2e/closed-pipe.test.ts": ["when nobody reads the output any more, a run heals, stops everything and leaves"],
    },
  },
  {
    promise: "a fresh clone needs nothing but Node and npm; a tarball runs too",
    shownBy: {
      "integration/launcher.test.ts": [
        "are installed when missing, not when they are there, again when the lock file changes",
        "that cannot be had: one sentence, exit code 5, and the next start tries again",
        "runs the program with ours; arguments and exit code pass through",
      ],
      "e2e/packed.test.ts": ["a packed tarball runs where it is installed, without its sources"],
    },
  },
  // ---- tickets
  {
    promise: "violations that overlap on one instance are one incident; one claim takes it whole",
    shownBy: {
      "integration/tickets-queue.test.ts": [
        "violations that overlap on one instance are one incident, claimed with all its tickets",
        "a ticket that joins a claimed incident is the holder's, and seen at its next renewal",
        "one session per instance; only instances that the agent is configured for",
      ],
    },
  },
  {
    promise: "no ticket is lost, none is completed twice, no stale holder acts",
    shownBy: {
      "integration/tickets-stress.test.ts": [
        "8 agents on 1,000 tickets, killed and stopped at random: none lost, none completed twice, no act by a stale holder",
      ],
      "integration/tickets-queue.test.ts": [
        "an expired lease is claimable again, with the next attempt; the sleeper is fenced off, its session is lost",
        "a clock set back by an hour neither keeps a dead holder's lease alive nor ends a live one",
      ],
    },
  },
  {
    promise: "the operator's word resolves nothing; claimed and not verified is open again, until the cap",
    shownBy: {
      "integration/tickets-queue.test.ts": [
        "the operator's word resolves nothing; the monitor does, once it has seen it hold",
        "a ticket under a live claim is not resolved until the lease ends",
        "claimed, not verified: open again after the verify window, until the cap",
        "attempts are capped: then the incident is escalated and nobody's until a person reopens it",
      ],
    },
  },
  {
    promise: "a person's hold is respected by agent and monitor alike",
    shownBy: {
      "integration/tickets-people.test.ts": [
        "stops the session at work, keeps agents and monitor off, and ends with unhold",
        "of one ticket keeps agents off its whole incident",
      ],
    },
  },
  {
    promise: "the transitions of tickets are one table, in code and in the README",
    shownBy: { "unit/tickets-transitions.test.ts": ["the README shows the table that the code enforces"] },
  },
  {
    promise: "a new ticket wakes who waits for it, whoever wrote it, and nothing else does",
    shownBy: {
      "integration/tickets-watch.test.ts": [
        "a new ticket wakes a reader, by event and not by poll",
        "a writer that knows nothing of us wakes it too",
        "renewals, heartbeats and log entries wake nobody: the next event is the hold after them",
      ],
      "integration/tickets-container.test.ts": [
        "a ticket that is written inside wakes a reader outside, by event and not by poll",
      ],
    },
  },
  {
    promise: "locked, read-only, full, damaged, newer: one clear sentence, nothing acknowledged is lost",
    shownBy: {
      "integration/tickets-file.test.ts": [
        "locked: waits for the writer without standing still, then says so; nothing was changed",
        "full: says so, has kept all it acknowledged, and goes on when there is room",
        "damaged: set aside with all its bytes, never overwritten; the next start has a new file",
        "from a newer version: refused and untouched",
        "read-only, or in a folder of root: one clear sentence",
      ],
    },
  },
  {
    promise: "either lab can read the other's ticket file",
    shownBy: {
      "integration/tickets-file.test.ts": [
        "is copied beside itself, keeps its rows and its form of time; duplicates are marked, not deleted",
        "its rows are claimed where the agent says whose they are; a foreign acknowledged one only after reopen",
        "what we write reads as theirs: only their words in status, JSON and times that they parse",
      ],
    },
  },
  // ---- command line
  {
    promise: "every error is one sentence with what to do, and a documented exit code",
    shownBy: {
      "unit/cli-program.test.ts": [
        "%j is refused with a sentence and code 2",
        "an error of ours is one sentence; a defect asks to be reported, with its stack",
        "docs/exit-codes.md lists the exit codes that there are",
        "the first aborts with a reason; a second within 500 ms is the same one; a later one forces",
      ],
    },
  },
  {
    promise: "with no monitor alive, ticket commands say that nothing will verify",
    shownBy: {
      "integration/cli-tickets.test.ts": [
        "create: which cluster must be known; with no monitor it says that nothing will verify",
      ],
    },
  },
  // ---- faults and engines
  {
    promise: "every fault proves that it took effect, harms nobody else, is undone, and twice undone is the same",
    shownBy: {
      "contract/fault.suite.ts": [
        "takes effect, touches nobody else, is undone, and twice undone is the same",
        "is undone from the journal alone, as after the harness was killed",
      ],
      "unit/journal.test.ts": ["has the intent on disk before it returns"],
    },
  },
  {
    promise: "both engines do the same",
    shownBy: {
      "contract/engine.suite.ts": [
        "kill: SIGKILL, exit code 137, no policy brings it back, the others do not notice",
        "disconnect and connect show in networks; both twice",
      ],
    },
  },
  // ---- monitor
  {
    promise: "recorded timelines of a real PD open the expected tickets, and no flash opens one",
    shownBy: { "unit/monitor-replay.test.ts": ["timeline-%s opens exactly the expected tickets, and resolves them"] },
  },
  {
    promise: "missing data is never healthy: silence resolves nothing",
    shownBy: { "unit/monitor-run.test.ts": ["are not resolved by silence"] },
  },
  // ---- operator
  {
    promise: "every write is checked against the lease just before it acts, and writes never overlap",
    shownBy: {
      "unit/agent-caller.test.ts": [
        "a lost lease: asked just before every act, and not for reading",
        "writes run one at a time in the order asked, reading goes on beside them",
      ],
    },
  },
  {
    promise: "nothing that a tool returns tells what this is",
    shownBy: {
      "unit/agent-tools.test.ts": [
        "no tool's output, right or wrong",
        "inspection shows no environment, mounts or labels",
      ],
      "integration/leak.suite.ts": [
        "with nothing wrong, no answer of a tool says what this is",
        "neither its tickets nor any answer of a tool says what was done",
        "what it is told before it asks says nothing either",
        "what it does is answered without a word too much, rightly done or not",
      ],
    },
  },
  {
    promise: "the operator reaches its cluster and nothing else",
    shownBy: {
      "integration/leak.suite.ts": [
        "whatever is not the cluster's does not exist, whatever is asked of it",
        "only this cluster's servers are asked, only by paths of theirs",
        "arguments beyond a tool's own, such as another network, are refused",
        "stays inside",
      ],
      "contract/tikv-workload.test.ts": ["whoever shares its network cannot read what its clients saw, nor stop them"],
    },
  },
  {
    promise: "the operator's program cannot contain the answer",
    shownBy: {
      "unit/agent-closure.test.ts": [
        "the operator's program reaches nothing that knows the answer, through no chain of imports",
      ],
      "integration/agent-image.test.ts": [
        "holds its own program, packages and the kit, and nothing that knows the answer",
        "it is given the tickets, the engine, addresses and its key, and nothing else of this machine",
      ],
      "integration/ticket-folder.test.ts": [
        "a trial's tickets lie where their path names no scenario, and in the run's folder when it is over",
      ],
    },
  },
  {
    promise: "every right repair can be expressed with the tools",
    shownBy: { "unit/agent-tools.test.ts": ["no row is missing"] },
  },
  {
    promise: "the model API's failures never end as resolved; the lab's own never reach the model",
    shownBy: {
      "integration/claude-operator.test.ts": [
        "never available: escalated with the reason, never resolved",
        "an engine that is gone ends the session; the model never reads of it",
      ],
    },
  },
  {
    promise: "told to stop, the agent gives its incident back at once",
    shownBy: {
      "integration/agent-loop.test.ts": [
        "told to stop: released at once, claimable again, and the attempt does not count",
      ],
    },
  },
  // ---- verdict
  {
    promise: "pass is mitigated and integral and safe; not knowing is not passing",
    shownBy: {
      "unit/grade.test.ts": [
        "passes when mitigated, integral and safe, and is end-to-end with the right diagnosis",
        "fails on lost data and is unknown where the data could not be read",
      ],
      "unit/checkers.test.ts": ["an acknowledged write that is gone is always found, and named"],
    },
  },
  {
    promise: "a recovery is credited to the operator only where it does not come by itself",
    shownBy: { "unit/counterfactual.test.ts": ["is none where it recovers as soon by itself"] },
  },
  // ---- rails
  {
    promise: "who may import whom is enforced, and so are the bans on real time and chance",
    shownBy: {
      "integration/lint-rules.test.ts": ["%s may not import %s", "%s: the linter objects to %j by %s"],
    },
  },
];
