import { expect, test } from "vitest";
import type { Region } from "../../../subjects/tikv/stand-in/tikv/region.ts";
import { StoreCluster } from "../../support/store-cluster.ts";

const region: Region = {
  id: 8,
  startKey: "",
  endKey: "",
  epoch: { confVer: 1, version: 1 },
  peers: [{ id: 9, storeId: 1, role: "voter" }],
};

test("a first region that another store was quicker to make is gone for good, also after a restart", async () => {
  const cluster = new StoreCluster([1]);
  await cluster.store(1).createFirst(region);
  await cluster.settle();
  await cluster.store(1).forget(region.id);
  expect([...cluster.store(1).peers]).toEqual([]);
  await cluster.stop(1);
  cluster.start(1);
  await cluster.tick(20);
  expect([...cluster.store(1).peers]).toEqual([]);
});
