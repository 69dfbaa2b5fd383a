export { controlClient } from "./control-client.ts";
export { openControlEngine } from "./control-engine.ts";
export type {
  CallOptions,
  ControlClient,
  ControlClientOptions,
  ControlEngineOptions,
  DeliveredCommand,
  ServerEvent,
} from "./types.ts";
