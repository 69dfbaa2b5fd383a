import { z } from "zod";
import type { Engine, Tool } from "../../protocol.ts";
import { component, reason, said } from "./shared.ts";

const connectInput = z.strictObject({
  component,
  aliases: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/))
    .max(8)
    .optional()
    .describe("names under which peers find it; default: those it had before"),
  reason,
});

/** The aliases matter: without its service name a container is back on the network, but nobody can resolve it. */
export function networkConnect(engine: Engine): Tool<typeof connectInput> {
  return {
    name: "network_connect",
    description: "Attach a container to the cluster's network again, under the names that it had before.",
    input: connectInput,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.connect(input.component, input.aliases === undefined ? {} : { aliases: input.aliases }, signal);
      return said(`${input.component}: connected`);
    },
  };
}

const disconnectInput = z.strictObject({ component, reason });

export function networkDisconnect(engine: Engine): Tool<typeof disconnectInput> {
  return {
    name: "network_disconnect",
    description: "Take a container off the cluster's network.",
    input: disconnectInput,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.disconnect(input.component, signal);
      return said(`${input.component}: disconnected`);
    },
  };
}
