import { describe, expect, test } from "vitest";
import { tikvCtl } from "../../subjects/tikv/stand-in/ctl/tikv-ctl.ts";

const CONFIG =
  '{"server":{"advertise-addr":"tikv1:20160"},"storage":{"api-version":1},"pd":{"endpoints":["http://pd0:2379","pd1:2379"]}}';
const REPLIES: Readonly<Record<string, string>> = {
  "tikv1:20180/config": CONFIG,
  "tikv1:20180/metrics": "a 1\n",
  "tikv1:20180/region/2": '{"raft_status":{"id":7}}',
  "pd1:2379/pd/api/v1/stores": '{"count":1,"stores":[{"store":{"id":4,"address":"tikv1:20160"}}]}',
  "pd1:2379/pd/api/v1/cluster": '{"id":7234567890123456789,"max_peer_count":3}',
};

const ask = (address: string, path: string) => {
  const body = REPLIES[address + path];
  if (body === undefined) return Promise.reject(new Error(`${address} does not answer`));
  return Promise.resolve({ status: 200, body });
};

describe("tikv-ctl", () => {
  test.each([
    ["store", "store id: 4\napi version: V1\n"],
    ["cluster", "cluster id: 7234567890123456789\n"],
    ["metrics", "tag:prometheus\nmetrics:a 1\n\n"],
  ])("%s, by whichever PD answers", async (command, printed) =>
    expect(await tikvCtl(["--host", "tikv1:20160", command], ask)).toBe(printed),
  );

  test("raft region -r 2: what the store's status port says", async () => {
    const printed = JSON.parse(await tikvCtl(["--host=tikv1:20160", "raft", "region", "-r", "2"], ask)) as object;
    expect(printed).toEqual({
      region_infos: { 2: { region_id: 2, region_meta: { raft_status: { id: 7 } } } },
    });
  });

  test.each(["compact", "unsafe-recover remove-fail-stores", "tombstone -r 2", "size -r 2", ""])(
    "refuses %j, by name",
    async (line) =>
      expect(
        tikvCtl(
          line.split(" ").filter((word) => word !== ""),
          ask,
        ),
      ).rejects.toMatchObject({
        code: "config-invalid",
      }),
  );
});
