export type { ControlServer, ControlServerDeps, ControlServerOptions, ListenOptions, ServerLimits } from "./options.ts";
export { serveControl } from "./serve.ts";
