import { openTickets, type Admission, type Tickets } from "../../tickets/index.ts";
import { errorText } from "../base/errors.ts";
import type { CliIo } from "./io.ts";
import { liveTicketFiles } from "./ticket-files.ts";

/** Which incident a token is good for, in whichever ticket file that is. */
export interface Admissions extends AsyncDisposable {
  check(token: string): Promise<Admission | null>;
}

/** Files stay open between checks; those of trials that have ended are let go. */
export function openAdmissions(io: CliIo, db: string | undefined): Admissions {
  const open = new Map<string, Promise<Tickets | null>>();
  const close = async (path: string): Promise<void> => {
    const tickets = await open.get(path);
    open.delete(path);
    await tickets?.[Symbol.asyncDispose]();
  };
  const opened = (path: string): Promise<Tickets | null> => {
    const known = open.get(path);
    if (known !== undefined) return known;
    const opening = openTickets(path, io.deps).catch((error: unknown) => {
      io.deps.log.warn("mcp.file-not-open", { path, why: errorText(error) });
      open.delete(path);
      return null;
    });
    open.set(path, opening);
    return opening;
  };
  return {
    async check(token) {
      const paths = await liveTicketFiles(io, db);
      for (const path of open.keys()) if (!paths.includes(path)) await close(path);
      for (const path of paths) {
        const admission = await (await opened(path))?.access.check(token);
        if (admission != null) return admission;
      }
      return null;
    },
    async [Symbol.asyncDispose]() {
      for (const path of [...open.keys()]) await close(path);
    },
  };
}
