import { standInNotice } from "../panel/notice.ts";
import type { CliIo } from "./io.ts";
import { openStanding, standingInstance } from "./standing-instance.ts";

/** What the panel tells people about the standing cluster; null where it is a real one, or there is none. */
export async function standingNotice(io: CliIo): Promise<string | null> {
  const said = io.env["PANEL_NOTICE"] ?? "";
  if (said !== "") return said;
  const standing = standingInstance(io);
  if (standing === null) return null;
  await using instance = await openStanding(standing, io);
  return standInNotice(instance);
}
