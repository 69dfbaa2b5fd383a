import { Command } from "commander";
import type { CliIo } from "./io.ts";
export function ticketCommand(_io: CliIo): Command {
  return new Command("ticket").description("what the monitor or a person reported, and what came of it");
}
