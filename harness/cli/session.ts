import { Command } from "commander";
import type { CliIo } from "./io.ts";
export function sessionCommand(_io: CliIo): Command {
  return new Command("session").description("what operators did");
}
