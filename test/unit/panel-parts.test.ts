import { expect, test } from "vitest";
import type { AssertionClaims, Part } from "../../harness/control/assertion.ts";
import type { Registration } from "../../harness/control/registration.ts";
import { openParts } from "../../harness/panel/parts.ts";
import { ManualClock } from "../support/manual-clock.ts";

const claims = (part: Part, agentId: string): AssertionClaims => ({
  agentId,
  deploymentHash: "d",
  part,
  holder: part !== "agent",
  issuedAt: 0,
  expiresAt: 1,
  nonce: "12345678",
});

const registration = (part: Part, agentId: string): Registration => ({
  agent_id: agentId,
  deployment_hash: "d",
  part,
  version: "1",
  compose_agent: true,
  control_plane: "compose_agent",
  features: [],
  status: {},
});

test("an agent that takes another part's name does not take its place, nor beat for it", () => {
  const parts = openParts(new ManualClock());
  parts.register(claims("compose-agent", "compose-agent"), registration("compose-agent", "compose-agent"));
  expect(parts.beat(claims("agent", "compose-agent"), "compose-agent", {})).toBe(false);
  parts.register(claims("agent", "compose-agent"), registration("agent", "compose-agent"));
  expect(parts.list().map(({ part, holder }) => [part, holder])).toEqual([
    ["compose-agent", true],
    ["agent", false],
  ]);
  expect(parts.beat(claims("compose-agent", "compose-agent"), "compose-agent", { doing: "well" })).toBe(true);
  expect(parts.beat(claims("agent", "another"), "compose-agent", {})).toBe(false);
  expect(parts.list()[0]?.status).toEqual({ doing: "well" });
});
