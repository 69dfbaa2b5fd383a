import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface RecordedAnswer {
  readonly status?: number;
  readonly contentType?: string | null;
  readonly body?: string;
  /** Nothing came back: refused, or timed out. */
  readonly error?: string;
}

export interface Recording {
  readonly state: string;
  readonly answers: Readonly<Record<string, Readonly<Record<string, RecordedAnswer>>>>;
}

export function recording(name: string): Recording {
  const file = new URL(`../../subjects/tikv/check/recordings/pd-8.5.7/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Recording;
}

/** One real HTTP server per recorded PD member, answering byte for byte what the member answered. */
export class RecordedServers implements AsyncDisposable {
  readonly urls: Record<string, string> = {};
  /** `METHOD path` of everything asked, by member. */
  readonly asked: Record<string, string[]> = {};
  readonly #servers: Server[] = [];

  static async start(answers: Recording["answers"]): Promise<RecordedServers> {
    const all = new RecordedServers();
    for (const [member, paths] of Object.entries(answers)) await all.#listen(member, paths);
    return all;
  }

  async #listen(member: string, paths: Readonly<Record<string, RecordedAnswer>>): Promise<void> {
    const asked: string[] = [];
    this.asked[member] = asked;
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const answer = paths[request.url ?? ""];
      if (answer === undefined) return void response.writeHead(404).end("404 page not found\n");
      if (answer.error?.includes("refused") === true) return void request.socket.resetAndDestroy();
      // A time-out: the connection stands and nothing comes.
      if (answer.status === undefined) return;
      const headers = answer.contentType == null ? {} : { "content-type": answer.contentType };
      response.writeHead(answer.status, headers).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#servers.push(server);
    this.urls[member] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  }
}
