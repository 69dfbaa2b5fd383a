import { z } from "zod";
import type { Engine, Tool } from "../../protocol.ts";
import { execEffect } from "../../control/exec-effect.ts";
import { component, reason, refused, said } from "./shared.ts";

const execInput = z.strictObject({
  component,
  argv: z.array(z.string().max(4_096)).min(1).max(64).describe("program and arguments; no shell reads this"),
  timeout_seconds: z.int().min(1).max(60).default(10),
  reason,
});

export function containerExec(engine: Engine): Tool<typeof execInput> {
  return {
    name: "container_exec",
    description:
      'Run one program inside a container, e.g. ["df","-h","/data"] or ["/pd-ctl","-u","http://127.0.0.1:2379","store"]. ' +
      "Not every program exists in every container.",
    input: execInput,
    effect: ({ argv }) => execEffect(argv),
    run: async (input, signal) => {
      const done = await engine.exec(
        input.component,
        input.argv,
        { timeoutMs: input.timeout_seconds * 1_000, maxBytes: 65_536 },
        signal,
      );
      const parts = [`exit code ${done.exitCode}${done.truncated ? ", output cut" : ""}`];
      if (done.stdout !== "") parts.push(`stdout:\n${done.stdout}`);
      if (done.stderr !== "") parts.push(`stderr:\n${done.stderr}`);
      return { text: parts.join("\n"), isError: false, exitCode: done.exitCode };
    },
  };
}

const updateInput = z.strictObject({
  component,
  cpus: z.number().positive().max(256).nullable().optional().describe("processor cores; null removes the limit"),
  memory_bytes: z.int().min(6_291_456).nullable().optional().describe("memory limit in bytes; null removes the limit"),
  restart_policy: z.enum(["no", "always", "on-failure", "unless-stopped"]).optional(),
  reason,
});

export function containerUpdate(engine: Engine): Tool<typeof updateInput> {
  return {
    name: "container_update",
    description: "Change a container's processor or memory limit or its restart policy, while it runs.",
    input: updateInput,
    effect: () => "write",
    run: async ({ component: target, cpus, memory_bytes, restart_policy }, signal) => {
      if (cpus === undefined && memory_bytes === undefined && restart_policy === undefined)
        return refused("nothing to change: give cpus, memory_bytes or restart_policy");
      await engine.update(
        target,
        {
          ...(cpus === undefined ? {} : { cpus }),
          ...(memory_bytes === undefined ? {} : { memoryBytes: memory_bytes }),
          ...(restart_policy === undefined ? {} : { restartPolicy: restart_policy }),
        },
        signal,
      );
      return said(`${target}: updated`);
    },
  };
}

const recreateInput = z.strictObject({
  component,
  image: z
    .string()
    .regex(/^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$/, "an image reference, e.g. pingcap/tikv:v8.5.5")
    .optional()
    .describe("another image; default: the same"),
  reason,
});

export function containerRecreate(engine: Engine): Tool<typeof recreateInput> {
  return {
    name: "container_recreate",
    description:
      "Replace a container by a new one with the same volumes and settings, optionally from another image. " +
      "The old container's log and everything outside its volumes are gone.",
    input: recreateInput,
    effect: () => "destructive",
    run: async (input, signal) => {
      await engine.recreate(input.component, input.image === undefined ? {} : { image: input.image }, signal);
      return said(`${input.component}: recreated`);
    },
  };
}
