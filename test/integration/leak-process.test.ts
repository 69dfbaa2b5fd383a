import { claimInstance } from "../../harness/engine/instances.ts";
import type { ProcessOwnerEngine } from "../../harness/engine/process/client.ts";
import { call } from "../../harness/engine/process/socket-client.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import { processControl } from "../../harness/trial/process-control.ts";
import { leakDeps, leakSuite } from "./leak.suite.ts";

/** Lines of this machine's own files, names of its folders, output of `id`. */
const HOST = /root:|uid=|\b(etc|usr|var|proc)\b|PATH=/;
const OWNERS = ["crash", "cut", "mend", "supports", "add-support", "remove-support", "detach", "tear-down", "hold"];

leakSuite({
  deploy(root, signal) {
    const owned = claimInstance(root, "c1", { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
    const id = "c1" as InstanceId;
    const project = "tikv-c1";
    return deployEmbedded(
      { engine: "process", id, stateDir: owned.paths.dir, project, network: project, timeFactor: 0.2 },
      leakDeps,
      signal,
    );
  },
  control: processControl(leakDeps),
  async bystanders(instance, signal) {
    const owner = instance.engine as unknown as ProcessOwnerEngine;
    const socket = (instance.operatorEnvironment("host")["ENGINE"] ?? "").replace(/^unix:/, "");
    return {
      // The clients; the supervisor; this very process.
      names: ["client", "tikv-c1-client-1", "tikv-c1-pd0-1", "supervisor", String(process.pid), "1", "constructor"],
      async state() {
        // What only the owner may do is not even known at the operator's socket.
        const refusals = OWNERS.map((verb) => call(socket, verb, { component: "client" }, signal).catch(String));
        return { clients: await owner.listSupport(signal), refusals: await Promise.all(refusals) };
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
  escapes: [
    ["ls", "/"],
    ["ls", "/etc"],
    ["ls", "../../.."],
    ["ls", "-la", "/proc/self"],
    ["ls", "data/../../.."],
    ["ls; cat /etc/passwd"],
    ["ls", "$(cat /etc/passwd)", "`id`", "| id", "&& id"],
    ["cat", "/etc/hostname"],
    ["cat", "/proc/self/environ"],
    ["env"],
    ["/bin/ls", "/"],
    ["../../../../bin/ls", "/"],
    ["sh", "-c", "id"],
    ["node", "-p", "process.env"],
    ["--eval=process.exit()", "ls"],
    ["__proto__"],
    ["constructor"],
    ["pd-ctl", "-u", "file:///etc/passwd", "store"],
    ["pd-ctl", "-u", "http://127.0.0.1:1/etc", "store"],
  ].map((argv) => ({ argv, not: HOST })),
});
