export { createControlApp } from "./app.ts";
export { openCore, type ServerCore } from "./core.ts";
export { openApi } from "./openapi.ts";
export type { ControlServer, ControlServerDeps, ControlServerOptions, ListenOptions, ServerLimits } from "./options.ts";
export { serveControl } from "./serve.ts";
