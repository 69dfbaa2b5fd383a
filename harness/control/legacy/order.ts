/**
 * What the panel wants of an agent in legacy mode, sealed with the token of `status_panel` that both hold: whoever else
 * answers at DASHBOARD_URL can neither command the agent nor ask it anything, and what was meant for one agent is
 * nothing to another.
 */
import { z } from "zod";
import type { EpochMs } from "../../base/clock.ts";
import { seal, sealKey, unseal } from "../sealed.ts";

/** Also bounds what a person's words and parameters may be. */
export const MAX_ORDER_LENGTH = 64 * 1024;
/** How far two programs' clocks may be apart. */
const SKEW_MS = 60_000;

const orderSchema = z.strictObject({
  /** Under one id a command is carried out once. */
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/),
  /** The agent's id. */
  to: z.string().min(1).max(128),
  deploymentHash: z.string().min(1).max(128),
  /** `ask`: a question of the API, which changes nothing or is a person's word on a proposal. */
  kind: z.enum(["command", "ask"]),
  /** Of the command; of a question `GET` or `POST`. */
  name: z.string().min(1).max(100),
  /** Of the command; of a question its target and body. */
  params: z.record(z.string(), z.unknown()),
  by: z.string().max(200),
  /** Not begun by then, it never is. What came of it may be asked for later. */
  beginBy: z.number().transform((ms) => ms as EpochMs),
});

export type Order = Readonly<z.output<typeof orderSchema>>;

export type OrderRefusal = "malformed" | "signature" | "for somebody else";

export function signOrder(order: Order, token: string): string {
  return seal("panel-order/1", order, token);
}

/** Names the token that it was made with; null where it is no order. */
export function orderKey(text: string): string | null {
  return sealKey(text, MAX_ORDER_LENGTH);
}

/** @param token the one that `orderKey` names, if it is accepted now. */
export function readOrder(
  text: string,
  token: string,
  me: Pick<Order, "to" | "deploymentHash">,
): { readonly ok: true; readonly order: Order } | { readonly ok: false; readonly why: OrderRefusal } {
  if (orderKey(text) === null) return { ok: false, why: "malformed" };
  const content = unseal("panel-order/1", text, token);
  if (content === undefined) return { ok: false, why: "signature" };
  const read = orderSchema.safeParse(content);
  if (!read.success) return { ok: false, why: "malformed" };
  const { to, deploymentHash } = read.data;
  const mine = to === me.to && deploymentHash === me.deploymentHash;
  return mine ? { ok: true, order: read.data } : { ok: false, why: "for somebody else" };
}

/** Too old to be begun. */
export function isStale({ beginBy }: Pick<Order, "beginBy">, now: EpochMs): boolean {
  return now > beginBy + SKEW_MS;
}
