import { systemClock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import { flameGraph } from "./flame-graph.ts";
import { pprof } from "./pprof.ts";
import { textReply, type StatusReply } from "./status-reply.ts";

const MAX_SECONDS = 3_600;
let running = false;

/**
 * `GET /debug/pprof/profile?seconds=10&frequency=99`: where this process spent its time, as a flame graph or for pprof.
 * One at a time.
 */
export async function cpuProfile(query: URLSearchParams, asProtobuf: boolean): Promise<StatusReply> {
  const [seconds, frequency] = [query.get("seconds") ?? "10", query.get("frequency") ?? "99"];
  if (!/^\d+$/.test(seconds) || !/^\d+$/.test(frequency) || Number(seconds) > MAX_SECONDS || Number(frequency) === 0)
    return textReply(400, "invalid digit found in string");
  if (running) return textReply(500, "Already in CPU Profiling");
  running = true;
  // Not before it is needed: the inspector takes memory.
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  try {
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: Math.round(1e6 / Number(frequency)) });
    await session.post("Profiler.start");
    await systemClock.sleep(Number(seconds) * 1_000);
    const { profile } = await session.post("Profiler.stop");
    const samples = profile.samples ?? [];
    const times = { periodNs: Math.round(1e9 / Number(frequency)), durationNs: Number(seconds) * 1e9 };
    return asProtobuf
      ? attached("application/octet-stream", pprof(profile.nodes, samples, times))
      : attached("image/svg+xml", flameGraph(profile.nodes, samples));
  } catch (error) {
    return textReply(500, errorText(error));
  } finally {
    session.disconnect();
    running = false;
  }
}

function attached(type: string, body: string | Buffer): StatusReply {
  const disposition = 'attachment; filename="cpu_profile"';
  return { status: 200, body, headers: { "content-type": type, "content-disposition": disposition } };
}
