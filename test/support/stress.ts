/** Settings of the stress test that its agents share. Leases are short, so that stopped agents lose theirs. */
export const STRESS = {
  leaseMs: 1_000,
  /** No incident is given up because its agents were killed. */
  maxAttempts: 1_000,
  /** Nothing verifies here, so nothing waits for it. */
  verifyMs: 0,
  /** Eight writers with fsync on a slow disk. */
  lockTimeoutMs: 20_000,
} as const;
