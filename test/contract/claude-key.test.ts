import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { requireAcceptedKey } from "../../harness/agent/operators/claude/try.ts";
import { lab } from "../support/cli.ts";

/** An API that answers everything with one status. */
async function apiThatSays(status: number) {
  const server = createServer((_, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ type: "error", error: { type: "error", message: "no" } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    env: {
      ANTHROPIC_API_KEY: "wrong-key-for-this-test",
      ANTHROPIC_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    },
    [Symbol.dispose]: () => void server.close(),
  };
}

test("a key that the API refuses is said before anything is started", async ({ signal }) => {
  using api = await apiThatSays(401);
  await expect(requireAcceptedKey(api.env, undefined, signal)).rejects.toMatchObject({ code: "api-key-missing" });
  const run = await lab(["run", "tikv/store-kill", "--engine", "process", "--operator", "claude"], { env: api.env });
  expect(run.code).toBe(5);
  expect(run.err).toBe("error: the API refuses ANTHROPIC_API_KEY (401); set a valid key\n");
});

test.each([404, 500, 529])("an API that says %i is met by the trial, not refused beforehand", async (status) => {
  using api = await apiThatSays(status);
  await requireAcceptedKey(api.env, undefined, new AbortController().signal);
});
