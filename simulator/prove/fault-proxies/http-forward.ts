import { once } from "node:events";
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream/promises";
import type { HttpAnswer, HttpRequest } from "./http-fault.ts";

/**
 * Hands calls to a server on 127.0.0.1. All headers that SigV4 may cover stay as the client sent them, Host
 * included. So signatures that the client made for the address of the proxy stay valid.
 */
export class HttpForward {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.#port = port;
  }

  /** Throws if the server is away, or ends in the middle of its answer. */
  async ask({ method, path, headers, body }: HttpRequest): Promise<HttpAnswer> {
    const length =
      body.length === 0 && !("content-length" in headers) ? {} : { "content-length": body.length };
    const { "transfer-encoding": _, ...rest } = forwardHeaders(headers);
    const asked = this.#request(method, path, { ...rest, ...length });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    return {
      status: answer.statusCode ?? 0,
      headers: answerHeaders(answer.headers),
      body: await readBody(answer),
    };
  }

  /** As `ask`, but bytes flow through without being kept. */
  async stream(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const asked = this.#request(from.method ?? "", from.url ?? "", forwardHeaders(from.headers));
    const sent = pipeline(from, asked);
    sent.catch(() => {});
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    to.writeHead(answer.statusCode ?? 0, answerHeaders(answer.headers));
    await pipeline(answer, to);
  }

  close(): void {
    this.#agent.destroy();
  }

  #request(method: string, path: string, headers: IncomingHttpHeaders | Record<string, unknown>) {
    const target = { host: "127.0.0.1", port: this.#port, agent: this.#agent };
    const asked = request({ ...target, method, path, headers: headers as IncomingHttpHeaders });
    // Both may fail once more after the answer: a server may answer and close before it has read everything.
    asked.on("error", ignore);
    asked.once("socket", (socket) => {
      if (!socket.listeners("error").includes(ignore)) socket.on("error", ignore);
    });
    return asked;
  }
}

function ignore(): void {}

export async function readBody(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Not part of a signature: `connection` is each connection's own, `expect` was answered by the proxy. */
function forwardHeaders({ connection: _, expect: __, ...headers }: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}

function answerHeaders({
  connection: _,
  "keep-alive": __,
  ...headers
}: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}
