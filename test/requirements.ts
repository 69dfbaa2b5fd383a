/** What the lab promises, and the test that shows it. */
export interface Requirement {
  readonly promise: string;
  /** Test file below `test/` -> titles in it (or their fixed beginnings, where a title has a placeholder). */
  readonly shownBy: Readonly<Record<string, readonly string[]>>;
}

/** One entry per promise, by part. A promise without a test is not made. */
export const REQUIREMENTS: readonly Requirement[] = [
  // ---- the operator's deployment in containers
  {
    promise: "compose mode: the engine's socket is in exactly one container, and nobody keeps a right or root's uid",
    shownBy: {
      "integration/compose-mode-docker.test.ts": [
        "the engine's socket is in exactly one container; none is privileged or sees the machine",
        "nobody runs as root once started, and nobody has a capability",
      ],
      "unit/compose-file.test.ts": [
        "the engine's socket is in one service; the agent has a network namespace that somebody else guards",
      ],
    },
  },
  {
    promise:
      "`lab agent up` brings up the mode that settings and flags name, replaces the other, and `down` leaves nothing",
    shownBy: {
      "e2e/agent-up-docker.test.ts": [
        "the settings choose the mode, a flag wins; one mode replaces the other; a signed request by hand; down",
      ],
    },
  },
  {
    promise: "each container holds its own plane's token and is refused as the other plane",
    shownBy: {
      "integration/compose-mode-docker.test.ts": [
        "each container has the folder of its own plane's token and no other; the compose-agent has both",
        "a plane's token signs for that plane alone: as the other one it is refused with 401",
        "its key and the tokens are in nobody's log",
      ],
    },
  },
  {
    promise:
      "the agent reaches the cluster, its control plane and the model's API, and nothing else; that holds when namespaces are made anew",
    shownBy: {
      "integration/compose-mode-docker.test.ts": [
        "the program reaches the cluster, its control plane and the model, and nothing else",
        "the guard holds in a new namespace before the program starts in it",
      ],
      "contract/connect-proxy.test.ts": ["every other host, port and method is refused"],
    },
  },
  {
    promise: "what an operator tries in order to get out, with its tools or its shell, is refused",
    shownBy: {
      "integration/compose-mode-docker.test.ts": [
        "with the container tools an operator cannot: ",
        "with its shell an operator cannot: ",
        "the same lines work for the program itself, where it may: they are refused to the shell, and not misspelt",
        "the shell reaches the cluster; what it sees is neutral, and has no key in it",
        "a line that takes all processes or kills its shell takes nothing from the program, which ends in order",
      ],
      "unit/agent-closure.test.ts": [
        "the operator's program has the client of the control plane, and nothing of its server",
      ],
    },
  },
  {
    promise:
      "a line of shell is judged before it runs, ends within two minutes, and nothing that it starts outlives it",
    shownBy: {
      "unit/agent-shell.test.ts": ["two minutes at most, both outputs, the exit code"],
      "contract/agent-shell.test.ts": [
        "when its time is over, the whole process group is killed",
        "what a line leaves behind ends with it",
        "observe mode is kept where the line would run, too",
      ],
    },
  },
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
    promise:
      "under random faults, one or two at a time, the embedded cluster loses no acknowledged write, always comes back, its logs hold nothing unexpected, and its memory is flat while its data do not grow",
    shownBy: {
      "integration/soak.test.ts": [
        "an embedded cluster under load and random faults loses nothing, comes back each time and complains of nothing else",
      ],
      "unit/soak.test.ts": [
        "never harm two of the same three",
        "are not when nobody was harmed",
        "finds a write that was acknowledged and not done",
        "is told of the time without new data, after a process has settled; nothing is told of too little",
      ],
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
  {
    promise: "every command speaks JSON; a terminal that is too small gets plain lines",
    shownBy: {
      "unit/cli-program.test.ts": [
        "every command takes --json, but the two whose output is the agent's own JSON lines",
      ],
      "integration/cli-tickets.test.ts": ["list, show, session list, session show: what happened, as text and as JSON"],
      "unit/view.test.ts": [
        "is drawn only where there is a terminal that is large enough; elsewhere the plain lines are",
      ],
    },
  },
  {
    promise: "every screen and record of a scripted run says that it says nothing about AI",
    shownBy: {
      "unit/story.test.ts": ["tells a passed trial in one fact a line"],
      "e2e/demo.test.ts": ["the demo breaks a store, sees it repaired and ends with a pass"],
    },
  },
  {
    promise: "a run that was killed is healed by the next start or by `lab heal`, and a live one is not touched",
    shownBy: {
      "e2e/interrupted.test.ts": [
        "after SIGKILL in mid-fault `lab heal` leaves nothing, and a second live run is not touched",
      ],
      "e2e/interrupted-docker.test.ts": [
        "after SIGKILL in mid-fault `lab heal` leaves nothing of it, and a live run is not touched",
      ],
      "e2e/attached-docker.test.ts": [
        "after SIGKILL in mid-fault `lab heal` mends what was broken, and everything of theirs stays",
      ],
    },
  },
  {
    promise: "the scripted operators are told apart by every scenario, on both engines",
    shownBy: {
      "e2e/table.suite.ts": ["${engine}: %s with %s"],
      "e2e/table-process.test.ts": ["every scenario has its expectations"],
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
  {
    promise: "hand-made tickets name an invariant, or end at diagnosed",
    shownBy: {
      "integration/tickets-people.test.ts": [
        "join the incident and are verified like any other",
        "that are manual stay apart, end at diagnosed, and only a person resolves them",
      ],
      "integration/cli-tickets.test.ts": [
        "create: an invariant that the monitor does not know is refused, unless nothing is to be verified",
      ],
    },
  },
  {
    promise: "what an operator did can be read afterwards, call by call, with who it was and what it cost",
    shownBy: {
      "integration/cli-tickets.test.ts": [
        "session show: who worked, with what, its diagnosis and cost, and every word and call with its time",
      ],
      "integration/tickets-people.test.ts": [
        "a session says which operator it was: model, prompt and whatever else makes it another",
        "entries come back in order with start and end, raw and summary; usage is summed over the incident",
      ],
    },
  },
  {
    promise: "a ticket file of an older version is brought up to date",
    shownBy: {
      "integration/tickets-file.test.ts": ["from an older version: brought up to date, nothing of it is lost"],
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
  {
    promise: "scenarios are listed, shown, written and checked; what is wrong is named with its line",
    shownBy: {
      "integration/cli-scenario.test.ts": [
        "list and show have every scenario that comes with the lab",
        "new writes a file that is valid, and no file twice; validate names the line that is wrong",
        "an id that is not there is said, with what to do",
      ],
      "unit/scenario-file.test.ts": ["a scenario survives the way through YAML", "a key that does not exist"],
    },
  },
  {
    promise: "what is missing on this machine is said with what to do, before anything is started",
    shownBy: {
      "integration/cli-agent.test.ts": [
        "agent start, monitor run: without a cluster they say how to have one",
        "agent up: the warning about the socket comes first; a folder that cannot be made is one sentence",
        "doctor: what is missing, by exit code too",
      ],
      "integration/docker-compose.test.ts": [
        "a network that is missing is named, with what to do",
        "an image that is missing is named",
        "a port that is taken is named",
      ],
      "integration/docker-engine.test.ts": ["no engine: says what to do"],
      "unit/cli-run.test.ts": ["a model does not work in scaled time", "a mode that does not exist"],
    },
  },
  {
    promise: "on a bad day nothing is left behind: no engine, no image, no folder that can be written",
    shownBy: {
      "integration/bad-days.test.ts": [
        "a trial is void for it, with the same code",
        "an image that is neither here nor to be pulled is named, code 5",
        "records below something that is no folder: one sentence, nothing started",
        "a state folder that cannot be used: one sentence",
      ],
    },
  },
  {
    promise: "of two commands that start the same thing at once one does, and the other says who is at it",
    shownBy: {
      "integration/bad-days.test.ts": ["`subject up` twice at once: one starts, the other says who is at it, code 6"],
      "contract/engine-process-life.test.ts": [
        "is not refused because another is only asking for it: of two at once one gets it",
      ],
    },
  },
  {
    promise: "the last line of `npm test` counts each thing once, and a test that needed a second try is named",
    shownBy: {
      "integration/tally.test.ts": [
        "the tally counts each thing once and names what failed, was skipped or took a second try",
      ],
    },
  },
  {
    promise: "somebody's cluster is broken only when its name is given",
    shownBy: {
      "unit/cli-run.test.ts": [
        "breaks somebody's cluster only when its name is given",
        "asks for --yes where nobody can answer",
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
  {
    promise: "an instance has one owner, by a lock that the system releases; a second one is refused",
    shownBy: {
      "contract/engine-process-life.test.ts": [
        "is refused to a second one, naming the first, and free once the first was killed",
        "stays with a taker that keeps no hold of it, whatever the garbage collector does",
        "removes what a dead owner left, keeps what was detached, leaves a live one alone",
      ],
    },
  },
  {
    promise: "a foreign project of our name is left alone; an attached one is never torn down",
    shownBy: {
      "integration/docker-tikv.test.ts": [
        "nobody else's project of the same name is touched",
        "attached by its project: roles from PD's members and stores, never torn down",
      ],
    },
  },
  // ---- the subject
  {
    promise: "the shipped compose file: pinned, loopback only, side by side, with what small machines and crashes need",
    shownBy: {
      "unit/compose-file.test.ts": [
        "three PD, three TiKV and Prometheus; Grafana, the workload and load only when asked for",
        "images are pinned and can be replaced",
        "ports are open on this machine alone and can be moved, so that several run side by side",
        "%s can crash, is asked how it is, has time to stop and files to open",
      ],
    },
  },
  {
    promise:
      "legacy mode in containers: the socket in the agent alone, no rights otherwise, and the panel of compose mode",
    shownBy: {
      "unit/compose-file.test.ts": [
        "somebody else's network for the agent; what is between it and the panel is compose mode's",
        "the socket is the agent's alone; both have the token of people's plane and no other",
        "%s: the person's own uid, an init, no rights, a read-only root, limits, a health check",
        "the panel is told the same as in compose mode, but for where a compose-agent would be",
      ],
      "e2e/agent-legacy-docker.test.ts": [
        "people see the cluster and command it through the agent; a watchdog makes its container anew as it was",
      ],
    },
  },
  {
    promise: "PD is asked whichever member answers: proxied, stale, hanging and leaderless answers are understood",
    shownBy: {
      "contract/pd-client.test.ts": [
        "every question ends in a typed answer or in PD's own words, never in a crash",
        "not a stale leader that only names itself",
        "without quorum nobody leads, PD's own health still answers, etcd's says why",
        "a change that got no answer is not repeated and says that it may have happened",
      ],
    },
  },
  {
    promise: "every operation of the workload is recorded once, as ok, failed or unknown, and all of it is read back",
    shownBy: {
      "contract/tikv-workload.test.ts": [
        "streams every operation once, with times on the reader's clock, and reads all of it back",
        "an outage is failed and unknown operations, at the same rate, in window and metrics",
        "leaves nothing behind when asked to clean up",
      ],
      "contract/tikv-raw-client.test.ts": [
        "one attempt that may have been proposed makes the whole unknown, however sure the others are",
      ],
    },
  },
  {
    promise:
      "Raft's promises hold in ten thousand simulated schedules of faults, every group serves again after them, and planted bugs are caught by name",
    shownBy: {
      "unit/raft/simulated-leaders.test.ts": ["in schedules about", "through every kind of trouble, (leaders)"],
      "unit/raft/simulated-members.test.ts": ["in schedules about", "through every kind of trouble, (members)"],
      "unit/raft/simulated-logs.test.ts": ["in schedules about", "through every kind of trouble, (logs)"],
      "unit/raft/planted-bugs.test.ts": [
        "are caught by name, where the correct code passes:",
        "are not what deposes a leader when a member comes back (pre-vote)",
      ],
      "unit/raft/linearizable.test.ts": [
        "that have an order are explained",
        "that have none are not, and the operation that nothing explains is named",
      ],
      "unit/raft/joint.test.ts": [
        "commits only what a majority of each side has",
        "stays until it is left, then an old leader hands over to the new members",
      ],
      "unit/raft/lease.test.ts": [
        "that lost its majority answers reads until the lease is over, and none after",
        "has lost it when it was stopped for as long, although it counted no ticks",
      ],
      "integration/raft-storage.test.ts": [
        "is refused, and left as it is, when any byte of it was changed",
        "is never written again after a write has failed",
      ],
    },
  },
  {
    promise: "the stand-ins lose no acknowledged write, and TiKV's official clients work against them",
    shownBy: {
      "unit/raft/raft-node.test.ts": ["acknowledges what a majority has on disk, and not before"],
      "unit/raft/schedules.test.ts": ["keeps every acknowledged value and one leader a term with"],
      "integration/tikv-stand-in.test.ts": ["lose no acknowledged write when a leader is killed, nor when all are"],
      "integration/tikv-workload-cluster.test.ts": [
        "a kill and a hang are seen, end by themselves, and lose no acknowledged write",
      ],
      "integration/tikv-official-client.test.ts": [
        "loses nothing acknowledged when every node is killed and started again",
      ],
      "integration/tikv-official-client.suite.ts": ["when all is well", "$kind of $what"],
    },
  },
  {
    promise:
      "what others wrote for TiKV works as it is: PD's own command line, and go-ycsb, embedded and in containers",
    shownBy: {
      "integration/pd-ctl-official.test.ts": [
        "stores and regions are shown and found",
        "schedulers are added, paused, resumed and removed, and act",
        "operators move what they are told to",
        "configuration is shown, changed, and refused in PD's words",
      ],
      "integration/go-ycsb.test.ts": [
        "loads its records, then reads, updates, inserts and scans them, without an error",
      ],
      "integration/go-ycsb-docker.test.ts": ["it loads, then runs, and ends well"],
    },
  },
  {
    promise:
      "our stores join a real PD and do what it asks: replicas, splits, leaders, leaving; no acknowledged write is lost",
    shownBy: {
      "integration/real-pd.test.ts": [
        "bootstrap a cluster, and get the replicas that PD wants by joint consensus",
        "split where PD says",
        "give their leaders away when PD evicts them",
        "heartbeat to the next leader of PD",
        "are emptied when PD takes one out, its place taken by another",
        "have every acknowledged write after all that",
      ],
    },
  },
  {
    promise: "every panel of the dashboard has data on the embedded Prometheus and on a real one, unless all is well",
    shownBy: {
      "integration/dashboard.test.ts": [
        "find data on the %s Prometheus, unless all is well",
        "are answered alike: the same panels with data, the same labels",
        "find data in the panels that are empty when all is well, once a store is killed and started again",
      ],
      "integration/go-ycsb-docker.test.ts": [
        "while it runs Prometheus has the alert rules, and data for the dashboard",
      ],
      "unit/dashboard.test.ts": [
        "no two panels have one id, one title or one place",
        "every panel says what it means, in a unit, with a threshold, and every query has a letter",
        "asks the data source that is provisioned, by its uid, through a variable",
      ],
    },
  },
  {
    promise: "every alert fires on its trouble and on nothing else, and the operator can read what fires",
    shownBy: {
      "integration/alert-rules.test.ts": [
        "fire on the series of their trouble, in their words, when it has lasted; none on a healthy cluster",
        "each has a unit test in which it fires and one in which it does not",
      ],
      "unit/alert-rules.test.ts": ["scale how long something has to last and how far they look back, and no threshold"],
      "unit/agent-tools.test.ts": [
        "alerts: none, those that fire, the rules behind them; no rules is not the same as no alert",
      ],
      "contract/prometheus-client.test.ts": ["says what fires and what is pending, by which rules"],
    },
  },
  {
    promise:
      "our PD moves replicas and leaders by PD's rules: balance, weights, limits, labels, placement rules, stores that leave or are down, merges, slow and hot ones",
    shownBy: {
      "unit/pd-schedule/build-plan.test.ts": [
        "is learner first, then both changes at once in a joint state, then gone",
        "is one step after the other when joint consensus is off",
        "two never become one in a single step, but when joint consensus is off",
      ],
      "unit/pd-schedule/balance.test.ts": [
        "the score of a store is the real one's, recorded with 3 MiB of regions on a disk of 252 GiB",
        "go from where most are to where fewest are, and stay when it would not be more even",
        "a weight counts: of a store with weight 0 all go, to it none",
        "go to an empty store, from where most are, and no further than even",
        "of two hot leaders on one store one goes to the store with less flow",
      ],
      "unit/pd-schedule/checkers.test.ts": [
        "a silent peer is replaced only when its store is Down too",
        "isolation-level lets no two replicas into one zone, though one is missing",
        "a small region goes into the next one, or the one before when that is smaller",
        "one at 100 and no other at 80 is evicted",
      ],
      "unit/pd-schedule/limits.test.ts": ["15 a minute: one at once, the next after four seconds"],
      "contract/pd-administration.test.ts": [
        "an administrator's remove-peer is undone by the rule checker",
        "a down store's replica stays while there is no store for it, and goes to the one that joins",
        "a replica limit of 0 for a while: nothing is repaired until it is over",
        "one that %s loses its leaders",
        "writes and reads of a region make it hot, on every replica and on its leader",
      ],
      "integration/pd-scheduling.test.ts": [
        "a fourth store takes its share of regions and leaders, by joint consensus, and data stay",
        "leader weight 0 drains one store of leaders, and region limits of 0 let nothing move",
        "an Offline store is drained and buried; one that is Down is replaced; its data are elsewhere",
        "regions are split at keys and small ones merged again, with their data and without a lost write",
      ],
    },
  },
  {
    promise: "with two of three stores lost for good unsafe recovery makes the survivor writable",
    shownBy: {
      "integration/pd-scheduling.test.ts": [
        "two of three stores lost for good: unsafe recovery makes the survivor writable",
      ],
    },
  },
  {
    promise:
      "the embedded cluster and Prometheus answer as the real ones were recorded; what is not evaluated is refused by name",
    shownBy: {
      "contract/pd-states.test.ts": [
        "%s",
        "every listed difference still occurs, and fewer than 5 % of the answers and of their keys differ",
      ],
      "contract/pd-mutations.test.ts": [
        "step %i: %s",
        "every listed difference still occurs, and fewer than 5 % of the answers and of their keys differ",
      ],
      "contract/pd-timelines.test.ts": ["what is seen from each member, in order", "when it is seen"],
      "unit/pd-rejoin.test.ts": [
        "a member that was off the network for a while is deaf for 24 s, then takes part again",
      ],
      "integration/pd-grpc.test.ts": [
        "a foreign cluster id is a failed precondition; a follower is not leader",
        "a follower's copy of the regions, for who asks for it",
      ],
      "unit/promql.test.ts": ["refuses what has no answer"],
      "contract/prometheus-program.test.ts": ["scrapes, rates, notices a target that hangs, and forgets its series"],
    },
  },
  {
    promise:
      "the embedded Prometheus gives what the engine of 3.5 and Debian's 2.42 give for thousands of generated queries, zero differing; what 3.5 does otherwise is left out by name",
    shownBy: {
      "integration/promql-generated.test.ts": [
        "generated queries: same series, points, values and kinds of error",
        "mutilated texts: both parse, printed alike, or both refuse, in the same words",
        "generated queries over the same blocks: same series, points, values and kinds of error",
      ],
      "integration/promql-scripts.test.ts": ["every evaluation of floats gives what is expected there"],
      "integration/promql-differential.test.ts": ["the queries find something, so that agreement means something"],
    },
  },
  {
    promise: "alerts, recorded series and templates come out of the same rule files as with a real Prometheus",
    shownBy: {
      "contract/prometheus-rules.test.ts": [
        "/api/v1/%s is the same but for times",
        "a rule file with a wrong thing (%s) is refused at the start, by name",
      ],
      "unit/prometheus-rules.test.ts": ["pending first, firing after `for`, and a while longer than its cause"],
    },
  },
  {
    promise: "the embedded Prometheus' memory is bounded, and a slow query neither stops it nor runs for ever",
    shownBy: {
      "unit/prometheus-storage.test.ts": ["memory has a bound, however long the retention"],
      "unit/promql.test.ts": ["a long one lets others work in between", "take linear time, whatever the pattern"],
    },
  },
  {
    promise: "`lab subject check` holds any PD to the recordings, reads only, and says each difference as a bug report",
    shownBy: {
      "unit/subject-check.test.ts": ["every kind of planted difference is found, where it is"],
      "contract/subject-check.test.ts": [
        "a PD that answers as recorded has nothing to report",
        "planted differences are reported one by one, ready to hand on",
        "nothing is asked but GETs, and one question which member answers",
      ],
      "e2e/subject-check.test.ts": ["the embedded cluster passes, by its own command"],
      "e2e/attached-docker.test.ts": ["their PD is held to the recordings, through whatever ports it is reached"],
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
  {
    promise: "a source that stays away is a ticket of its own",
    shownBy: {
      "unit/monitor-run.test.ts": ["a source that stays away gets a ticket of its own"],
    },
  },
  {
    promise: "an engine's event makes the monitor look at once and is never a verdict",
    shownBy: {
      "unit/monitor-run.test.ts": [
        "make it look at once, so that a ticket stands right after the grace",
        "are never a verdict: nothing opens while what is seen holds",
      ],
    },
  },
  {
    promise: "a clock that jumps neither opens nor resolves",
    shownBy: {
      "unit/monitor-run.test.ts": ["do not care about jumps of the wall clock"],
    },
  },
  {
    promise: "a cluster that is taken down by hand is nothing to open tickets about",
    shownBy: {
      "e2e/monitor-taken-down.test.ts": [
        "a monitor ends with the cluster that `lab subject down` takes, and opens no ticket about it",
      ],
    },
  },
  // ---- operator
  {
    promise: "every write is checked against the lease just before it acts, and writes never overlap",
    shownBy: {
      "unit/agent-caller.test.ts": [
        "a lost lease: asked just before every act, and not for reading",
        "writes run one at a time in the order asked, reading goes on beside them",
        "the last word waits for the writes before it, and nothing is changed after it",
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
        "through the control plane, in compose mode, no answer says more",
        "neither its tickets nor any answer of a tool says what was done",
        "what it is told before it asks says nothing either",
        "what it does is answered without a word too much, rightly done or not",
        "its last words are answered without one too much, and nothing is changed after them",
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
  {
    promise: "the operator's program reaches nothing that knows the answer, through no import and in no image",
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
    promise: "under every fault no tool says what was done, and every way out is closed, on both engines",
    shownBy: {
      "integration/leak.suite.ts": [
        "neither its tickets nor any answer of a tool says what was done",
        "what it does is answered without a word too much, rightly done or not",
        "whatever is not the cluster's does not exist, whatever is asked of it",
        "only this cluster's servers are asked, only by paths of theirs",
      ],
    },
  },
  {
    promise: "what no rule lists is destructive; every row of the effect tables is shown",
    shownBy: {
      "unit/agent-effects.test.ts": ["requests to PD", "requests to a store", "programs in a container"],
    },
  },
  {
    promise: "from the host: a ticket is worked in the agent's container and verified by the monitor",
    shownBy: {
      "e2e/on-call-docker.test.ts": [
        "works what the monitor finds and what a person reports, and the monitor has the last word",
      ],
    },
  },
  {
    promise: "in observe mode nothing can be changed, and the diagnosis alone is graded",
    shownBy: {
      "e2e/observe.test.ts": ["in observe mode an operator changes nothing and is judged on its diagnosis alone"],
      "unit/observe-mode.test.ts": [
        "a trial's mode and limits are what its agent works in: %s",
        "in observe mode only the diagnosis counts: right passes on a cluster that nobody repaired, wrong fails",
      ],
      "unit/agent-tools.test.ts": ["in execute mode all, in observe mode nothing that can only write"],
      "unit/agent-caller.test.ts": ["in observe mode everything that is not reading"],
      "unit/runbook-operator.test.ts": ["in observe mode nothing is touched and the diagnosis is handed over"],
    },
  },
  {
    promise: "every way in which a model stops has a name; limits hold, waits for the API apart",
    shownBy: {
      "integration/claude-operator.test.ts": [
        "every way to end has a name",
        "limit of working time; what was spent is in the books",
        "waits as long as the server says, and that is not working time",
        "a reply may be no longer than the money that is left",
      ],
    },
  },
  {
    promise: "the runbooks escalate look-alikes untouched, and act the same on the same cluster",
    shownBy: {
      "unit/runbook-operator.test.ts": [
        "look-alikes are escalated untouched",
        "the same cluster gives the same calls",
        "what does not come back is escalated, and not started twice",
      ],
    },
  },
  {
    promise: "the key is in no transcript, log or image",
    shownBy: {
      "integration/claude-operator.test.ts": ["the key is in no transcript"],
      "integration/agent-loop.test.ts": ["wrong settings: one sentence, code 2, and the key is not in it"],
      "unit/agent-caller.test.ts": ["start and end of each call; secrets are masked wherever they stand"],
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
  {
    promise: "an operator is judged by what the trial did, not by what its start cost a small machine",
    shownBy: {
      "integration/incident-follower.test.ts": [
        "an operator that a ticket of its own start has taken is started again, and only the later session counts",
        "a ticket of the start that is closed is not the one that the harm is to bring",
      ],
    },
  },
  {
    promise:
      "the record says which operator it was, by model, prompt digest and cost, and when it first was right and first wrote",
    shownBy: {
      "integration/incident-follower.test.ts": [
        "the record says which operator it was and what it cost, by its session",
        "the first right hypothesis and the first write are marked when they began, not a wrong one and no reading",
      ],
      "e2e/claude-trial.test.ts": [
        "a whole trial with the claude operator: the SDK, the agent's program, a verdict and its cost",
      ],
    },
  },
  {
    promise: "grading can be run again at any time from the record alone",
    shownBy: { "e2e/demo.test.ts": ["the demo breaks a store, sees it repaired and ends with a pass"] },
  },
  {
    promise: "how blind the operator was is said, and never too much",
    shownBy: {
      "unit/blinding.test.ts": [
        "as long as an operator's container reaches the internet, no operator is said to be fully blind",
      ],
    },
  },
  {
    promise: "a control passes without a write and with no-fault; a trial that the lab broke is void and no verdict",
    shownBy: {
      "unit/grade.test.ts": [
        "pass without a write and with the ending no-fault",
        "fail on any write, also a refused one, and on any other ending",
        "a quiet one fails on any ticket",
      ],
      "unit/disturbance.test.ts": ["when clients fail though nothing was broken, and says when and what"],
      "e2e/disturbed-control.test.ts": [
        "a control whose machine stood still is void: neither monitor nor operator is judged by it",
      ],
      "unit/story.test.ts": ["a void trial is no verdict on the operator"],
    },
  },
  {
    promise: "detection is the monitor's mark: no ticket is not an operator's failure",
    shownBy: {
      "unit/grade.test.ts": ["is no-ticket, not an operator failure, when the monitor opened none"],
    },
  },
  {
    promise: "stored runs without an operator count for the very same key alone",
    shownBy: {
      "integration/baseline-file.test.ts": [
        "stored runs come back for their own key alone, without the trials that the lab broke",
        "trials of different keys are no baseline, nor are none",
      ],
      "unit/counterfactual.test.ts": [
        "the key covers build, engine, time factor and scenario, not the seed",
        "is not shown without stored runs, and none where the operator changed nothing",
      ],
    },
  },
  // ---- the stand-in of a store
  {
    promise: "a store's disk that fills is refused, fled from and recovered from as TiKV does, and a full one ends it",
    shownBy: {
      "unit/tikv-store/disk.test.ts": [
        "is refused by a leader without room; a deletion only when it is quite full",
        "does not mind a full follower while a majority has room",
      ],
      "integration/tikv-disk.test.ts": [
        "at its reserve refuses writes but not deletions, its leaders go, and all is well when there is room again",
        "without any room ends it with 1 and a word about it",
      ],
    },
  },
  {
    promise: "a store tells PD how slow its disk is, from real writes, by TiKV's rule",
    shownBy: {
      "unit/tikv-store/slow-score.test.ts": [
        "reaches 100 in seven rounds, 21 s, when a tenth of the inspections is slow",
        "does not blame the disk for what the process itself was late with",
      ],
    },
  },
  {
    promise: "a store's flags, files, exit codes and status port are TiKV's",
    shownBy: {
      "integration/tikv-program.test.ts": [
        "refuses flags that it does not know, and values that they cannot have",
        "panics before it has a log when its file is none",
        "refuses another place for its log than the last time",
      ],
      "integration/tikv-status.test.ts": [
        "changes what may be changed, and says in TiKV's words why it does not",
        "takes the gRPC service away and gives it back; the store goes on talking to PD",
        "gives metrics under TiKV's names, compressed for who asks for that",
      ],
      "integration/tikv-config.test.ts": ["is in force at once, kept in the file, and told"],
      "unit/tikv-ctl.test.ts": ["%s, by whichever PD answers"],
    },
  },
  {
    promise: "a store says to PD what a TiKV says, and does what PD asks of regions as TiKV does",
    shownBy: {
      "contract/tikv-pd-wire.test.ts": [
        "has no field that they do not know, in heartbeats, splits and joint consensus",
      ],
      "integration/tikv-strict-pd.test.ts": [
        "a replica moves by joint consensus while its leader is demoted, and no acknowledged write is lost",
        "a merge takes the source's range and pairs over, and they are there after all were killed",
        "splits where it is told, in the middle, and by itself when a region has grown too big",
        "a store that PD has buried does not start again, nor one below the cluster's version, nor one of a twin",
        "a peer that was silent for max-peer-down-duration is reported down, as configured while it runs",
      ],
      "integration/tikv-moves.test.ts": [
        "replicas leave a store by joint consensus under load, and no acknowledged write is lost",
        "regions that lost two of three replicas for good are led again by the third, with what it knew",
      ],
      "unit/tikv-store/change-peers.test.ts": [
        "of several is joint until it is left; the epoch counts every peer that moves, both times",
        "says the same to Raft as to the region, whatever is changed",
      ],
      "unit/tikv-store/store-cluster.test.ts": [
        "is taken back when the target has changed meanwhile, and the source goes on under a new version",
        "reaches a store that slept through it, by the log or by a snapshot, and its stale replica goes",
        "leads by force, demotes who is gone, and then writes again; until then it refuses",
        "goes when it asks the others, even one that never stands for election",
      ],
      "unit/tikv-store/store-schedules.test.ts": [
        "no schedule of splits, merges, moves, cuts and restarts loses an acknowledged write",
      ],
    },
  },
  {
    promise: "a store answers raw requests as TiKV does, and a leader without a majority for less than its lease",
    shownBy: {
      "unit/tikv-store/raw-requests.test.ts": ["is CRC-64/XZ, xored over pairs in any order"],
      "unit/tikv-store/store-cluster.test.ts": [
        "a leader without a majority answers by its lease for less than 9 s, and writes nothing",
        "a follower answers once it has applied what its leader had committed",
      ],
      "integration/tikv-strict-pd.test.ts": [
        "raw requests of every kind are answered, in families, by followers, and with the store's health",
      ],
    },
  },
  // ---- watchdog
  {
    promise:
      "the watchdog sees exit, crash loop, pause, failed health check, want of memory, removal and a wrong C library for what they are, and cures each as it can be cured",
    shownBy: {
      "integration/watchdog-docker.test.ts": [
        "one that ends by itself is started again, and its count begins anew when it has been stable",
        "a crash loop under a restart policy is unhealthy whenever one looks, and is given up with a ticket",
        "a paused one is let run on",
        "one that fails its health check is restarted",
        "one that the kernel killed for want of memory is told apart, and restarted",
        "one that was removed is made anew from the compose file",
        "a program that needs a newer C library goes back to the image that worked, without one restart",
        "where no image is known that worked it is given up at once, with a ticket",
      ],
      "integration/watchdog-process.test.ts": [
        "a process of ours that dies is started again, and its count begins anew",
        "one that no longer says that it is well is restarted",
        "one that is gone is made anew",
        "one that cannot be helped is given up with a ticket",
      ],
      "unit/watchdog.test.ts": [
        "$name: $act",
        "a rising restart count is unhealthy although it runs; one restart by its policy alone is not worth another",
        "the mark of an old death for want of memory, which Docker keeps, says nothing of the run that follows",
        "is not taken for the image that worked because the one before it had been stable",
        "is told from the same words of a program that ended well, or that runs",
      ],
    },
  },
  {
    promise:
      "the watchdog's pauses grow to a cap, with jitter; only a stable period resets the count, and a failed call counts",
    shownBy: {
      "unit/watchdog.test.ts": [
        "10 s x 1.5^n up to the cap",
        "jitter stretches or shortens each pause by up to its part, never beyond the cap, and comes from the given stream",
        "attempts come at 10, 25, 47.5, 81.25 and 131.875 s; after the pause that follows it gives up with one ticket",
        "a failed call counts as an attempt, and the next one makes the container anew",
        "is not reset by one good look, only by a stable period without a break",
        "is reset after the stable period, and trouble after that begins with the first pause",
      ],
    },
  },
  {
    promise: "a watchdog that is killed in the middle of a back-off, or of an attempt, goes on where it was",
    shownBy: {
      "integration/watchdog-restarts.test.ts": [
        "killed in the middle of a back-off it goes on where it was: the count, and what is left of the pause",
        "killed after a restart that stopped the container and could not start it again, the next one takes that for its own",
      ],
      "unit/watchdog.test.ts": [
        "and a pending pause survive the watchdog: the one that follows waits only for what is left",
        "an attempt in which the watchdog died counts",
        "nor is the stop of a watchdog that was killed in it, of which the engine tells the next one",
        "given up while no ticket can be written: the ticket comes when it can, also from the next watchdog",
      ],
    },
  },
  {
    promise: "what an operator stops stays down; what an engine stops in its own restart comes back",
    shownBy: {
      "integration/watchdog-docker.test.ts": [
        "what an operator stops stays down, and is watched again once somebody starts it",
      ],
      "integration/watchdog-process.test.ts": ["what a person stopped stays down"],
      "integration/watchdog-restarts.test.ts": [
        "an engine that restarts is survived: what ran runs again, what an operator had stopped before stays down",
      ],
      "unit/watchdog.test.ts": [
        "is left alone, also when it is then removed, until somebody starts it",
        "`lab agent down` says so before; what it says ends with the next start",
        "is no verdict on anything, and its own shutdown is no operator's stop",
      ],
    },
  },
  {
    promise:
      "the fallback to legacy mode is off unless the host allows it, never follows an agent's own command, is audited, and ends when the sidecar is stable",
    shownBy: {
      "integration/watchdog-fallback.test.ts": [
        "where the host allows it: the agent comes from the legacy file, audited, and goes back when the sidecar is stable",
        "not after a command of the agent's own plane: the sidecar that it brought down stays its only hands",
        "not because the ticket file says that it was: an agent that is lost comes back without the socket",
      ],
      "unit/watchdog.test.ts": [
        "is off by default",
        "not after a command of the agent's own, and not where nobody knows",
        "looking does not forbid it, unless it goes on while the sidecar fails",
        "killed in the middle of it, or refused there: the agent counts as holding the socket, and gives it back",
        "ends at once when the host allows it no longer",
      ],
      "e2e/agent-legacy-docker.test.ts": [
        "a watchdog that falls back leaves people their panel, whose commands the agent carries out until the sidecar is back",
      ],
    },
  },
  // ---- control server and client
  {
    promise:
      "the control API refuses in one order: size, signature, nonce, scope, rate; every part of a request is signed",
    shownBy: {
      "integration/control-server.test.ts": [
        "413 before everything, then the signature, the nonce, the scope, the rate",
        "every part of a request is signed",
        "a clock that is too far off; the token itself is in no request",
        "what is no command, and containers that are none of the subject's",
      ],
      "unit/control-signing.test.ts": [
        "hold for exactly what was signed, with the token it was signed with",
        "a wall clock that goes far back begins a new epoch, since old timestamps would pass again",
      ],
    },
  },
  {
    promise: "a captured request is worthless after a restart, and at a sibling with the same tokens",
    shownBy: {
      "integration/control-server.test.ts": [
        "a capture sent again after a restart, and at a sibling with the same tokens",
      ],
    },
  },
  {
    promise: "forged, replayed, skewed, oversized, malformed requests: none is carried out, no 5xx, no crash",
    shownBy: {
      "contract/control-fuzz.test.ts": [
        "forged, replayed, skewed, oversized and malformed requests: none is carried out, none is answered 5xx, nothing breaks",
      ],
    },
  },
  {
    promise: "what commands printed does not fill the disk: the oldest lose it, never how they ended",
    shownBy: {
      "unit/command-queue.test.ts": ["what commands printed takes so much room and no more"],
    },
  },
  {
    promise: "one idempotency key, one act: together, one after another, over a restart; a refusal does not use it up",
    shownBy: {
      "integration/control-server.test.ts": [
        "same key and body: the first answer; another body: 422; a new key runs again",
        "transmissions that come together, and one after a restart, get the one answer",
        "403 and 429 do not use a key up; reads have their first answer too",
      ],
      "integration/control-queue.test.ts": [
        "a command whose connection broke is sent again under its key, and done once",
      ],
    },
  },
  {
    promise:
      "however much one plane asks for, the other's commands are taken and carried out; what stays open has a bound",
    shownBy: {
      "integration/control-hostile.test.ts": [
        "however many commands of the agent run or wait, a person's are carried out at once",
        "a queue that the agent has filled still takes a person's command, and runs it next",
        "so many of one plane and no more; who leaves makes room, and the other plane has its own",
        "a stream whose reader does not read ends, and holds nothing more",
        "an engine that does not heed its signal is left behind: slot and container are free again",
      ],
      "unit/control-signing.test.ts": ["who has no slot gets one at once, however long the other's line"],
    },
  },
  {
    promise: "on a disk that takes no more nothing is done unrecorded, and what was done is told as it was",
    shownBy: {
      "integration/control-hostile.test.ts": [
        "an act whose end cannot be written is told as it was, ends in the audit, and nothing else begins before",
        "without an intent on disk nothing is done, and the audit says so once",
        "an audit that cannot be written stops rotations and decisions too, and says so by its code",
      ],
    },
  },
  {
    promise: "the control API tells the agent and strangers no paths of the machine",
    shownBy: {
      "integration/control-hostile.test.ts": [
        "people read what went wrong; the agent and strangers no paths of this machine",
      ],
    },
  },
  {
    promise: "a token is the key of one plane only, also as a predecessor; what is no secret lets nobody in",
    shownBy: {
      "unit/token-cache.test.ts": [
        "takes no predecessor that is the other plane's token: whoever holds that would be both",
        "predecessors that are no secret are not taken: an empty one would let anybody in",
      ],
    },
  },
  {
    promise: "a compose-agent that is killed in mid-command runs nothing twice; each command ends known or unknown",
    shownBy: {
      "integration/control-crash.test.ts": [
        "a compose-agent that is killed in mid-command again and again runs none twice, and each ends known or unknown",
      ],
      "integration/control-queue.test.ts": [
        "what was begun and cannot be looked up ends unknown and is never repeated",
        "what asks for a state is looked up: so = done, not so = asked for once more, changed since = unknown",
        "what nobody had begun is run, unless who asked has lost the incident meanwhile",
      ],
    },
  },
  {
    promise:
      "observe mode, a person's approval and the claim on the incident are enforced where commands are carried out",
    shownBy: {
      "integration/control-server.test.ts": [
        "observe mode: reads only, also when queued; people's writes are theirs",
        "a write names its claim; one that was lost meanwhile, and one of another cluster, are refused",
        "mode propose: a person's yes to exactly this call, once",
        "nothing runs while the audit cannot be written, and the key is not used up",
      ],
    },
  },
  {
    promise: "health, capabilities, diagnostics and metrics say what is: probed, and counted where a command runs",
    shownBy: {
      "integration/control-server.test.ts": [
        "count what was carried out, by who asked, and nothing else",
        "an engine that is gone shows in capabilities and health, and comes back",
        "every endpoint of the document is served, and asks for a signature where it says so",
      ],
      "contract/status-api.test.ts": ["every recorded step gets the recorded status and at least its keys"],
    },
  },
  {
    promise:
      "queued commands: slots between two bounds, pollers that get each one once and at once, logs without a hole",
    shownBy: {
      "integration/control-queue.test.ts": [
        "more of them at once open more slots, up to the bound",
        "one gets each command, at once when it comes, and what it reports is counted once",
        "a reader that comes back misses nothing, and one of an earlier start is told to begin anew",
      ],
      "unit/log-cursor.test.ts": [
        "reads every line once, whatever the pages, bursts within a millisecond, and streams slightly out of order",
      ],
    },
  },
  {
    promise: "a command can be signed and sent by hand",
    shownBy: {
      "e2e/agent-start-compose.test.ts": [
        "lab agent start --compose-mode: a request by hand as it prints; it ends although its cluster was taken down",
      ],
      "integration/cli-control.test.ts": [
        "lab control: one signed request by hand, what came of it, and an exit code that says so",
      ],
    },
  },
  // ---- tokens and settings of the control plane
  {
    promise:
      "tokens rotated under load, by another process too: no valid request is refused, and each old one is after its grace",
    shownBy: {
      "integration/token-rotation.test.ts": [
        "tokens in files, rotated 20 times under load by other processes: no valid request is refused; each old one is, after its grace",
        "tokens in Vault, rotated 20 times under load by another client of it: the same",
        "over the API: the caller's own plane only, the answer names the new token by fingerprint, both go on being taken",
      ],
      "unit/token-cache.test.ts": [
        "the predecessor is taken to the end of its grace and refused after it",
        "grace outlives a restart, and a restart does not begin it anew",
        "one elsewhere is found by the first request that is signed with the new token",
        "of 20 in a row, one a second, every token is taken for its whole grace and no longer",
        "a reading that began before it does not bring the old token back",
        "cannot make it read more often than the provider allows, nor keep a new token waiting for longer",
      ],
    },
  },
  {
    promise:
      "each plane's token is refreshed on its own; a provider that is down leaves what it gave in force and is said",
    shownBy: {
      "unit/token-cache.test.ts": [
        "refreshes each plane every 60 s, give or take a tenth, not both at once",
        "a provider that is down leaves what it has in force, says so, and says once why",
        "one plane's trouble is not the other's",
        "a revoked token is refused from the next reading on, without grace",
      ],
      "contract/token-vault.test.ts": ["it %s: %s, and the cache stays in force"],
    },
  },
  {
    promise: "no empty or weak token, none for both planes, and nothing secret in a log or on a screen",
    shownBy: {
      "unit/token-cache.test.ts": [
        "does not open without a token, with an empty one, or with one for both planes",
        "an empty, short or monotonous token is refused, and so is the other plane's or the one in force",
        "nothing secret is logged",
      ],
      "contract/token-provider.suite.ts": ["a token that is %s is refused, and not shown"],
      "contract/cli-tokens.test.ts": [
        "rotate makes the first one and the next; show names both by fingerprint; no token is ever shown",
        "names each value's source; secrets are masked",
      ],
      "integration/token-rotation.test.ts": ["an empty or short token over the API is refused, and locks nobody out"],
      "integration/control-secrets.test.ts": [
        "the compose-agent's program tells no secret: not in its log, arguments, replies, metrics or files",
      ],
    },
  },
  {
    promise: "token files are private, replaced whole, and refused when others could read or replace them",
    shownBy: {
      "contract/token-files.test.ts": [
        "are private: 0600 in a directory of their own with 0700, and nothing else is left beside them",
        "%s is refused",
        "a reader sees the old one or the new one, never a part, while others rotate",
      ],
    },
  },
  {
    promise: "tokens can be in Vault, KV v2 or v1: each plane's policy reads one key, and what is wrong is told apart",
    shownBy: {
      "contract/token-vault.test.ts": [
        "the shipped policies: each plane reads its own key and nothing else; only rotation writes",
        "another key may be named; none = status_panel_token",
        "%s: is said so, and is not taken for a revoked token",
        "it takes its time: given up after 5 s by the clock",
        "is renewed at two thirds of its life, again and again",
        "its token is sent to no other server, whatever the answer says",
      ],
      "contract/vault-recording.test.ts": [
        "the stand-in server answers all 64 recorded requests alike: status, content type, error text, JSON keys and types",
        "and so it does to which mount a path is on, under the shipped policy, and to a write that must be the first",
      ],
    },
  },
  {
    promise:
      "settings come from flag, environment, config file or default in this order; what is wrong is one sentence",
    shownBy: {
      "unit/control-settings.test.ts": [
        "a flag wins over the environment, that over the file, that over the default; each is named as the source",
        "COMPOSE_AGENT_ENABLED=%s is %s, in the config file too",
        "COMPOSE_AGENT_ENABLED=%s is an error",
        "%s: one sentence that names it",
        "docs/configuration.md lists every setting, with its key and its default",
        "the example file is valid and says what is the default",
      ],
      "unit/agent-config.test.ts": ["compose mode: the flag wins over the variable, ENGINE is %s"],
      "contract/cli-tokens.test.ts": ["names each value's source; secrets are masked"],
    },
  },
  {
    promise: "a program says first in which mode it runs, and for which plane",
    shownBy: {
      "unit/control-settings.test.ts": ["legacy: a warning, and the plane"],
      "integration/agent-loop.test.ts": ["%s is the first thing it says, and then for which plane"],
    },
  },
  // ---- people and foreign clients
  {
    promise:
      "in mode propose each write waits for a person: bound to the exact call, attempt and state, good once, with a time-out, and not the operator's time",
    shownBy: {
      "integration/propose.test.ts": [
        "is not begun before a person approves it; then it is, once, and the transcript tells both",
        "that is rejected is an answer, with the person's reason",
        "is refused when what it was about has changed by the time of the answer",
        "that nobody answers is not done",
        "may wait longer than the operator may work: waiting is not its time",
      ],
      "integration/tickets-approvals.test.ts": [
        "waits, is approved by a person, and is good once: for this call, claim and state alone",
        "wakes whoever waits when another process decides; the reason comes with it",
        "of somebody who is gone cannot be approved: lease lost, session stopped",
        "a server carries an approved call out once, for whoever asked, and only if it is what the person saw",
      ],
      "integration/cli-tickets.test.ts": [
        "approve list: what an operator says moves no cursor and turns no letters around",
      ],
      "e2e/approver.test.ts": [
        "an approver works an incident with an operator that may only propose: nothing is done before, and waiting was not its time",
      ],
    },
  },
  {
    promise: "a person at a terminal works an incident with the tools, limits and record of every operator",
    shownBy: {
      "e2e/people-and-clients.test.ts": [
        "works an incident from end to end, with `lab agent start --operator human`",
        "Ctrl-C hands the incident back, and the attempt does not count",
        "without a terminal there is one clear sentence",
      ],
      "contract/human-attach.test.ts": [
        "a question waits for somebody to come, survives their leaving, and is answered once",
        "whoever comes later takes over, with everything that was said; the other is told, and asked no more",
        "Ctrl-D is an answer, and what is said to it is still shown",
        "when the agent ends everybody is told, and nobody is awaited; what cannot be asked any more is the signal's reason",
        "one agent a folder; what a killed one has left behind is no agent",
      ],
      "e2e/agent-people-docker.test.ts": [
        "a person attaches to it, leaves with Ctrl-C, comes back to the same question, and ends the work",
        "a watchdog that was told nothing makes the person's agent anew as it was",
      ],
      "e2e/compose-mode-docker.test.ts": [
        "a person at this terminal works it, through the door of the agent's container",
      ],
      "unit/human-operator.test.ts": [
        "sees the incident, looks, acts with a reason, submits; every call is in the transcript",
        "has as many calls as every operator",
      ],
    },
  },
  {
    promise:
      "an MCP client in another process works an incident over stdio and over HTTP, with a token for that incident alone",
    shownBy: {
      "e2e/people-and-clients.test.ts": ["works an incident from end to end over %s"],
      "e2e/agent-people-docker.test.ts": [
        "an MCP client on this machine works an incident through the door, with the user's runbooks beside the kit's",
      ],
      "e2e/compose-mode-docker.test.ts": ["an MCP client on this machine works it, through the same door"],
      "integration/mcp.test.ts": [
        "only names of ours are answered, and pages of no other origin, before a token counts",
        "without a good token there is nothing, and a session belongs to the token that began it",
        "for reading shows no tool that can only write, and is refused calls that write; the transcript keeps it",
        "%s is worth nothing",
        "finds every tool but shell, with its effects; nothing that it is told gives away where it is",
        "has as many calls as every operator has turns",
        "config prints what Claude Code and Codex read, without a token in it",
      ],
      "unit/mcp-annotations.test.ts": ["%s: no call goes further, or less far", "what is not listed may do anything"],
    },
  },
  {
    promise:
      "a file of the Python lab is opened with every oddity, copied first, and refused while somebody else writes it",
    shownBy: {
      "integration/tickets-foreign.test.ts": [
        "is refused while its monitor writes, and untouched; a minute after its end it is copied and opened",
        "one row with values that nobody expects takes no other out of reach, and people can end it",
        "with every oddity is taken as it is: nothing is lost, nothing renamed, nothing claimed that may be somebody's",
        "%s: nothing new is begun for a minute, what has begun goes on, and the next command says why",
        "our own writers, in several processes or interrupted, are never taken for it",
      ],
    },
  },
  // ---- the control plane: audit, compose mode of trials
  {
    promise:
      "the audit finds a changed byte, a removed line and a cut tail, keeps its chain over full files, and is mended knowingly after a kill",
    shownBy: {
      "integration/audit.test.ts": [
        "has an intent and an outcome for each command, refused ones too, each with the hash of the line before",
        "finds each changed byte, and says where",
        "finds a removed line, one that was moved, and a cut tail; and opens none of these",
        "finds a tail that was cut in mid-line, and an anchor that went with it",
        "finds a chain that was written anew with the key, by its second anchor in the queue's database",
        "keeps the chain over files that are full, and finds one of them missing",
        "tells a line that its writer could not finish from tampering, mends it and says so",
        "loses nothing that it acknowledged, and its open intents end as unknown",
        "verify: exit code 0 for a chain that is intact, 1 with the place of what was changed; show: who did what",
      ],
    },
  },
  {
    promise: "what cannot be audited is not done: a full disk stops commands with the reason, and nothing is lost",
    shownBy: {
      "integration/audit.test.ts": [
        "stops commands with the reason; what was run is told before the next one, once there is room",
        "an anchor that cannot be written stops them too, and the chain says that they never ran",
        "keeps its key in a folder of its own that nobody else can read, and refuses one that others can",
      ],
      "integration/compose-agent-program.test.ts": [
        "a full disk: commands are refused with 503, /health says so, and it goes on by itself",
        "does not go on with an audit that was changed",
        "killed in mid-work, it goes on with its chain; what was open is unknown",
      ],
    },
  },
  {
    promise: "the compose-agent's program says its mode, is asked how it is, stops in order, and refuses empty tokens",
    shownBy: {
      "integration/compose-agent-program.test.ts": [
        "says its mode and plane, serves, is found well, and stops in order",
        "serves a Unix socket, with the same signatures, for this user alone",
        "%s: it ends with a sentence and its exit code",
      ],
    },
  },
  {
    promise:
      "in compose mode a trial's operator has no engine; everything goes through an audited control plane that ends with the trial, also at Ctrl-C and after a kill",
    shownBy: {
      "e2e/compose-mode.test.ts": [
        "the demo in compose mode: all commands went through the compose-agent, and the audit is intact",
        "Ctrl-C in mid-trial ends compose-agent and panel with the rest; the audit so far is in the record's folder",
        "after SIGKILL in mid-trial `lab heal` leaves neither program nor token",
      ],
      "e2e/compose-mode-docker.test.ts": [
        "its operator has no socket, a guarded network and the user's runbooks: blinding is full, the audit intact, nothing is left",
        "killed with SIGKILL: `lab heal` removes its containers and networks, too",
      ],
      "integration/rollback.test.ts": [
        "a rollback to legacy mode in mid-trial ends the trial as the lab's failure; another deployment's does not",
      ],
      "unit/compose-agent-config.test.ts": [
        "have defaults for all but engine and instance; it listens on loopback",
        "a flag wins over its variable, and an empty variable is none",
      ],
      "unit/story.test.ts": ["tells which plane did what, and whether the audit is what was written"],
    },
  },
  // ---- the status panel
  {
    promise:
      "an on-call person sees planes, programs, cluster, incidents, session, approvals and watchdog at a glance; what is gone is shown as gone, and what is old as old",
    shownBy: {
      "integration/panel.test.ts": [
        "shows planes, programs, cluster, incidents, session, approvals and watchdog at a glance",
        "a compose-agent that is gone is shown as gone, what is old as old, and commands are refused with the reason",
      ],
      "integration/panel-routing.test.ts": [
        "through a real compose-agent people see its tickets, sessions and cluster, command its containers, and decide",
      ],
      "unit/panel.test.ts": [
        "a part is gone after four beats without a word, and back with the next",
        "commands a minute are those of the last minute; a server that starts anew begins anew",
        "failures are commands that failed, were refused, or of which nobody knows, by plane",
      ],
      "unit/panel-headline.test.ts": ["the first line says %s", "what was never read is not said to be empty"],
    },
  },
  {
    promise:
      "`lab panel` says who may sign in, and the panel's program serves without a compose-agent or says what is missing",
    shownBy: {
      "integration/cli-panel.test.ts": [
        "lab panel: a password is made and shown once, people are listed, and locked out",
        "lab panel commands: what an agent in legacy mode carried out for people, and what came of it",
        "serves page and door without a compose-agent, and ends with whoever started it",
        "without a token, or with settings that make no sense, it says so in one sentence and ends with 2",
      ],
    },
  },
  {
    promise: "a session's steps appear as they happen, and a broken connection goes on where it was",
    shownBy: {
      "integration/panel.test.ts": ["steps appear as they happen, and a broken connection goes on where it was"],
      "integration/panel-http.test.ts": [
        "the stream goes on after what the browser says it saw, and begins anew with another session",
      ],
    },
  },
  {
    promise: "people approve exactly the call that they were shown, with the keyboard if they like",
    shownBy: {
      "integration/panel.test.ts": [
        "a proposal is approved with the keyboard, bound to the call that was shown; what was typed stays",
      ],
      "integration/panel-routing.test.ts": [
        "through a real compose-agent people see its tickets, sessions and cluster, command its containers, and decide",
      ],
    },
  },
  {
    promise:
      "people's commands go to the program that can do them, which is named with its plane; where none can, the refusal says why",
    shownBy: {
      "integration/panel.test.ts": ["a button asks, runs its command and shows outcome, place and plane"],
      "integration/panel-routing.test.ts": [
        "through a real compose-agent people see its tickets, sessions and cluster, command its containers, and decide",
      ],
      "integration/panel-legacy.test.ts": [
        "in legacy mode people see the agent's tickets, session and steps, decide, and command; all of it is in its ticket file",
      ],
      "unit/panel.test.ts": [
        "the compose-agent when it answers and can, else a legacy agent that is there and can, else nobody",
        "nobody, and why: %s",
        "says apart what was never fetched and what was fetched and never reported",
        "what was lost on its way is handed out again, and what is told too late is told all the same",
      ],
      "unit/panel-headline.test.ts": [
        "a command whose answer was lost is asked for until somebody says what came of it, or that it never arrived",
      ],
    },
  },
  {
    promise:
      "what an agent in legacy mode does for people is on disk before the act, done once, known after a broken connection or a new start, and only what the panel sealed for it",
    shownBy: {
      "integration/panel-legacy.test.ts": [
        "in legacy mode people see the agent's tickets, session and steps, decide, and command; all of it is in its ticket file",
        "a command whose connection broke in its middle is carried out once, and ends known",
        "an agent that was killed in the middle looks into it at its next start, does nothing twice, and says what came of it",
        "nothing is done for whoever answers in the panel's place: without the seal, with another's, for another agent, too late",
      ],
    },
  },
  {
    promise: "the page can be used with the keyboard and a screen reader, in dark and light, and without scripts",
    shownBy: {
      "integration/panel.test.ts": [
        "in %s colours axe finds nothing that somebody could not use",
        "without scripts a page asks in the dialog's place, and the command runs",
      ],
    },
  },
  {
    promise:
      "only who has signed in sees or does anything; other sites' forms, guessed passwords, markup in tickets and foreign scripts come to nothing",
    shownBy: {
      "integration/panel.test.ts": [
        "lets in with the right password only, and out again",
        "what tickets, operators and programs say is text, whatever it looks like",
      ],
      "integration/panel-http.test.ts": [
        "a form that is not from the page is refused, one that is is taken",
        "nobody sees or does anything without signing in, not even with another panel's cookie",
        "guessing passwords is slowed down for everybody, and who is signed in goes on",
        "the page's policy allows no script, style, frame or connection but its own",
        "under another name, as after DNS rebinding, nothing is served",
        "a new password, or being removed, ends what was signed in with the old one",
      ],
    },
  },
  {
    promise:
      "programs register at the panel with an assertion that nobody else can make; a panel that is down or slow costs them nothing",
    shownBy: {
      "unit/panel.test.ts": [
        "says who it is about to whoever holds the token, for five minutes",
        "with another token, with changed claims, cut or stretched is none",
      ],
      "integration/panel-http.test.ts": ["registers nothing, beats for nobody, and fetches and reports no command"],
      "integration/registration.test.ts": [
        "registers, beats, and registers again at a panel that was started anew",
        "a panel that is down, slow or wrong is tried again later and less often, and said so once",
        "the agent works its incident all the same while the panel hangs",
      ],
    },
  },
  // ---- rails
  {
    promise: "who may import whom is enforced, and so are the bans on real time and chance",
    shownBy: {
      "integration/lint-rules.test.ts": ["%s may not import %s", "%s: the linter objects to %j by %s"],
    },
  },
  {
    promise: "pages are true: links, named files, folders' pages, the import table, settings, dependencies, exit codes",
    shownBy: {
      "unit/pages.test.ts": [
        "every relative link leads somewhere",
        "every file of ours that it names is there",
        "every page that a source cites is in this checkout",
        "every top folder and every part of the harness has a page that says what it is for and what it imports",
        "CONTRIBUTING.md shows the import table that the linter enforces",
      ],
      "unit/settings.test.ts": [".env.example has every variable that is read, and no other"],
      "unit/dependencies.test.ts": ["docs/dependencies.md gives a reason for each dependency, and for nothing else"],
      "unit/cli-program.test.ts": ["docs/exit-codes.md lists the exit codes that there are"],
    },
  },
  {
    promise: "the tarball holds no sources, tests or records; the lock file names no registry",
    shownBy: {
      "unit/pages.test.ts": [
        "has both names of the program, and neither sources, tests nor records of runs",
        "the lock file names no registry",
      ],
      "e2e/packed.test.ts": ["a packed tarball runs where it is installed, without its sources"],
    },
  },
];
