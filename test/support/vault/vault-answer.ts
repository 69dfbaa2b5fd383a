import { randomUUID } from "node:crypto";

export interface VaultAnswer {
  readonly status: number;
  readonly body: string;
}

export const noContent: VaultAnswer = { status: 204, body: "" };

export function errors(status: number, ...texts: readonly string[]): VaultAnswer {
  return { status, body: `${JSON.stringify({ errors: texts })}\n` };
}

export function plain(status: number, body: Record<string, unknown>): VaultAnswer {
  return { status, body: `${JSON.stringify(body)}\n` };
}

/** The envelope of every answer that is no error. */
export function wrapped(status: number, fields: Record<string, unknown>): VaultAnswer {
  const envelope = {
    request_id: randomUUID(),
    lease_id: "",
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: null,
    warnings: null,
    auth: null,
  };
  return plain(status, { ...envelope, ...fields });
}

export function found(data: Record<string, unknown>): VaultAnswer {
  return wrapped(200, { data });
}
