import { userInfo } from "node:os";
import { HarnessError } from "../base/errors.ts";
import type { Approval, Decision } from "../../tickets/index.ts";
import type { CliIo } from "./io.ts";
import { firstInFiles } from "./ticket-files.ts";

/** The word of the person at this terminal on one proposal. @throws HarnessError `not-found`, `wrong-state` */
export async function decideApproval(
  id: string,
  decision: Omit<Decision, "by">,
  db: string | undefined,
  io: CliIo,
): Promise<Approval> {
  const missing = `no proposal ${id}; \`lab approve list\` shows what waits`;
  return await firstInFiles(io, db, missing, async (tickets) => {
    try {
      return await tickets.approvals.decide(id, { ...decision, by: `cli:${userInfo().username}` });
    } catch (error) {
      if (error instanceof HarnessError && error.code === "not-found") return null;
      throw error;
    }
  });
}
