import { describe, expect, it } from "vitest";
import type { Clock, EpochMs } from "../../../harness/base/clock.ts";
import { MetricRegistry } from "../../../subjects/common/metrics/registry.ts";
import { nodeLog } from "../../../subjects/tikv/stand-in/node-log.ts";
import { FailFast } from "../../../subjects/tikv/stand-in/tikv/fail-fast.ts";
import { ManualClock } from "../../support/manual-clock.ts";

async function watched(timeoutMs: number) {
  const clock = new ManualClock();
  const registry = new MetricRegistry();
  const [lines, ended]: [string[], string[]] = [[], []];
  const failFast = new FailFast({
    clock,
    log: nodeLog({ clock, write: (line) => lines.push(line) }),
    criticalErrors: registry.counter("tikv_critical_error_total", ""),
    timeoutMs: () => timeoutMs,
    onHang: (error) => ended.push(error.message),
  });
  const stop = new AbortController();
  const running = failFast.run(stop.signal);
  const seconds = async (count: number) => {
    for (let second = 0; second < count; second++) await clock.advance(1_000);
  };
  return { clock, registry, failFast, lines, ended, seconds, running, stop };
}

describe("a disk that does not answer", () => {
  it("ends the store after a minute, and is told of from half of that on", async () => {
    const { clock, registry, failFast, lines, ended, seconds, running } = await watched(60_000);
    failFast.writing(clock.monotonic());
    await seconds(29);
    expect(lines).toEqual([]);
    await seconds(30);
    expect(lines.length).toBeGreaterThan(20);
    expect(lines[0]).toMatch(/\[ERROR\].*fail-fast probe: disk still not responsive after elapsed.*\[disk=raft\]/);
    expect(ended).toEqual([]);
    await seconds(2);
    await running;
    expect(lines.at(-1)).toMatch(/\[FATAL\].*fail-fast: disk probe timed out, shutting down/);
    expect(ended).toEqual(["fail-fast: TiKV self-killed due to disk unavailability"]);
    expect(registry.text()).toContain('tikv_critical_error_total{type="disk_probe_fail_fast_raft"} 1');
  });

  it("is forgiven when it answers in time, when nobody writes, and when it is switched off", async () => {
    const { clock, failFast, lines, seconds, stop, running } = await watched(60_000);
    await seconds(100);
    failFast.writing(clock.monotonic());
    await seconds(20);
    failFast.writing(null);
    await seconds(100);
    expect(lines).toEqual([]);
    stop.abort();
    await clock.advance(1_000);
    await running;
    const off = await watched(0);
    off.failFast.writing(off.clock.monotonic());
    await off.seconds(100);
    expect(off.lines).toEqual([]);
  });

  it("is not blamed for a process that was stopped", async () => {
    const stop = new AbortController();
    const steps = [1_000, 90_000, ...Array.from({ length: 20 }, () => 1_000)];
    let at = 0;
    const clock: Clock = {
      now: () => at as EpochMs,
      monotonic: () => at,
      sleep: () => {
        const step = steps.shift();
        if (step === undefined) stop.abort();
        at += step ?? 0;
        return Promise.resolve();
      },
    };
    const lines: string[] = [];
    const failFast = new FailFast({
      clock,
      log: nodeLog({ clock, write: (line) => lines.push(line) }),
      criticalErrors: new MetricRegistry().counter("tikv_critical_error_total", ""),
      timeoutMs: () => 60_000,
      onHang: (error) => lines.push(error.message),
    });
    failFast.writing(0);
    await failFast.run(stop.signal);
    expect(lines).toEqual([]);
  });
});
