/**
 * `node:http` without the price of an `import` from it: that reads every export at once, `WebSocket` among them, which
 * loads undici into the process (Node 24: 14 MB and 100 ms of processor time for each node of a cluster).
 */
export const http = process.getBuiltinModule("node:http");
