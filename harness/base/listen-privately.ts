import { once } from "node:events";
import type { Server } from "node:net";

/** Listens at a Unix socket that only this user can open, from its first instant. @throws the system's error */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    // The socket is made before this returns.
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, "listening");
}
