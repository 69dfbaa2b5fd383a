import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigController } from "../../subjects/tikv/stand-in/tikv/config/controller.ts";
import { DEFAULTS } from "../../subjects/tikv/stand-in/tikv/config/defaults.ts";
import { itemAt } from "../../subjects/tikv/stand-in/tikv/config/tree.ts";

const folder = mkdtempSync(join(tmpdir(), "tikv-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a change while it runs", () => {
  const controller = (name: string, text = "") => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return new ConfigController(DEFAULTS, path);
  };

  it("is in force at once, kept in the file, and told", () => {
    const config = controller("a.toml", '[raftstore]\ncapacity = "1GB"\n');
    const told: string[] = [];
    config.onChange((changed) => told.push(...changed));
    config.update({ "raftstore.max-peer-down-duration": "1m", "log.level": "debug" }, true);
    expect(config.duration("raftstore.max-peer-down-duration")).toBe(60_000);
    expect(told.toSorted()).toEqual(["log.level", "raftstore.max-peer-down-duration"]);
    expect(parse(readFileSync(config.path, "utf8"))).toEqual({
      raftstore: { capacity: "1GB", "max-peer-down-duration": "1m" },
      log: { level: "debug" },
    });
  });

  it("is not kept where that is not wanted, nor when it says what is so already", () => {
    const config = controller("b.toml");
    const told: string[] = [];
    config.onChange((changed) => told.push(...changed));
    config.update({ "raftstore.max_peer_down_duration": "2m" }, false);
    config.update({ "raftstore.max-peer-down-duration": "2m" }, false);
    expect(told).toEqual(["raftstore.max-peer-down-duration"]);
    expect(readFileSync(config.path, "utf8")).toBe("");
  });

  it.each([
    [{ "server.addr": "x:1" }, "config addr can not be changed"],
    [{ "storage.reserve-space": "1GB" }, "config reserve_space can not be changed"],
    [{ "raftstore.nonsense": "1" }, "unexpect fields: nonsense"],
    [{ nonsense: "1" }, "unexpect fields: nonsense"],
    [{ "raftstore.capacity.more": "1" }, "unexpect fields: more"],
    [{ "raftstore.max-peer-down-duration": "soon" }, "failed to parse: soon"],
    [{ "log.level": "loud" }, "failed to parse: loud"],
    [{ "raftstore.raft-log-gc-threshold": "0" }, "raft log gc threshold must >= 1, not 0"],
  ])("%j is refused, and nothing of it is done", (change, why) => {
    const config = controller("c.toml");
    expect(() => config.update({ "log.level": "warn", ...change }, true)).toThrow(why);
    expect(config.current).toBe(DEFAULTS);
    expect(readFileSync(config.path, "utf8")).toBe("");
  });

  it("that cannot be kept is in force all the same", () => {
    const config = new ConfigController(DEFAULTS, join(folder, "no such folder", "x.toml"));
    expect(() => config.update({ "log.level": "warn" }, true)).toThrow('Os { code: 2, kind: NotFound, message: "No');
    expect(config.text("log.level")).toBe("warn");
  });

  it("is taken from the file on reload, but for what needs a restart", () => {
    const config = controller("d.toml");
    writeFileSync(config.path, '[log]\nlevel = "error"\n[raftstore]\ncapacity = "1GB"\n');
    config.reload();
    expect(config.text("log.level")).toBe("error");
    expect(config.bytes("raftstore.capacity")).toBe(0);
  });

  it("shows what is documented, and all of it when asked", () => {
    const config = controller("e.toml");
    expect(itemAt(config.documented, "raftstore.merge-max-log-gap")).toBeUndefined();
    expect(itemAt(config.current, "raftstore.merge-max-log-gap")).toBe(10);
    expect(itemAt(config.documented, "raftstore.raft-entry-max-size")).toBe("8MiB");
  });
});
