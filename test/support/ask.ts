import type { Answer } from "../../subjects/tikv/check/recording.ts";

/** One request as a recorder makes it; a reply of status 0 when nothing comes back. */
export async function ask(url: string, path: string, init: RequestInit = {}, patienceMs = 20_000): Promise<Answer> {
  const began = performance.now();
  try {
    const reply = await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(patienceMs) });
    const body = await reply.text();
    return {
      status: reply.status,
      contentType: reply.headers.get("content-type"),
      body,
      ms: performance.now() - began,
    };
  } catch (error) {
    return {
      status: 0,
      contentType: null,
      body: String((error as Error).cause ?? error),
      ms: performance.now() - began,
    };
  }
}
