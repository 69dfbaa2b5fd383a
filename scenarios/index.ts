import type { Scenario } from "../harness/protocol.ts";
import { falseAlarm } from "./control/false-alarm.ts";
import { quiet } from "./control/quiet.ts";
import { pdLeaderKill } from "./tikv/pd-leader-kill.ts";
import { storeCrashAutorestart } from "./tikv/store-crash-autorestart.ts";
import { storeHang } from "./tikv/store-hang.ts";
import { storeIsolated } from "./tikv/store-isolated.ts";
import { storeKill } from "./tikv/store-kill.ts";

export const scenarios: readonly Scenario[] = [
  storeKill,
  storeHang,
  storeIsolated,
  pdLeaderKill,
  storeCrashAutorestart,
  falseAlarm,
  quiet,
];
