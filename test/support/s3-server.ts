import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { type S3Answer, S3Objects, type S3Request, s3Refusal } from "./s3-objects.ts";

/**
 * The fate of a request: `pass`; `lose` = it does not arrive, and its connection is reset; `lose-answer` =
 * it takes effect, and its connection is reset; `hang` = there is never an answer; `late` = there is no
 * answer, and it takes effect at `releaseLate`; `ignore-condition` = like a server that ignores
 * If-None-Match; `half` = the answer stops in the middle; or another answer.
 */
export type S3Fault =
  | "pass"
  | "lose"
  | "lose-answer"
  | "hang"
  | "late"
  | "half"
  | "ignore-condition"
  | { readonly delayMs: number }
  | { readonly status: number; readonly code: string; readonly inside?: string }
  | { readonly status: number; readonly html: string };

/** An S3 server in this process, with faults on demand. */
export class S3TestServer {
  readonly port: number;
  readonly store: S3Objects;
  /** Asked about each request. */
  fault: (request: S3Request) => S3Fault = () => "pass";
  /** Every request so far, in order. */
  readonly requests: S3Request[] = [];
  readonly #server: Server;
  #late: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.store = new S3Objects("lake-bucket");
    this.port = (server.address() as AddressInfo).port;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
  }

  static async start(): Promise<S3TestServer> {
    const server = createServer({ keepAliveTimeout: 60_000 }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new S3TestServer(server);
  }

  /** Environment of processes that use the server. */
  readonly environment = {
    AWS_ACCESS_KEY_ID: "test-key",
    AWS_SECRET_ACCESS_KEY: "test-secret",
    AWS_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
  } as const;

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  url(prefix: string): string {
    return `s3://lake-bucket/${prefix}?endpoint=${this.endpoint}&region=us-east-1`;
  }

  /** Requests since the last call, as `METHOD key`. */
  takeRequests(): string[] {
    return this.requests
      .splice(0)
      .map(({ method, key, query }) => `${method} ${key}${query.has("list-type") ? "?list" : ""}`);
  }

  /** Lets the requests held as `late` take effect. */
  releaseLate(): void {
    for (const release of this.#late.splice(0)) release();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = requestOf(incoming);
    const body = await buffer(incoming);
    this.requests.push(request);
    const fault = this.fault(request);
    if (fault === "hang") return;
    if (fault === "lose") return void incoming.socket.resetAndDestroy();
    if (fault === "late") return void this.#late.push(() => this.store.answer(request, body, true));
    if (typeof fault === "object" && "html" in fault)
      return send(response, {
        status: fault.status,
        headers: { "content-type": "text/html" },
        body: fault.html,
      });
    if (typeof fault === "object" && "code" in fault)
      return send(response, s3Refusal(fault.status, fault.code, fault.inside));
    if (typeof fault === "object") await delay(fault.delayMs);
    const answer = this.store.answer(request, body, fault !== "ignore-condition");
    if (fault === "lose-answer") return void incoming.socket.resetAndDestroy();
    if (fault !== "half") return send(response, answer);
    const bytes = Buffer.from(answer.body ?? "");
    response.writeHead(answer.status, { ...answer.headers, "content-length": bytes.length });
    response.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
    setTimeout(() => incoming.socket.destroy(), 20);
  }
}

function requestOf({ method = "GET", url = "/", headers }: IncomingMessage): S3Request {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const [, bucket = "", ...parts] = decodeURIComponent(pathname).split("/");
  return { method, bucket, key: parts.join("/"), query: searchParams, headers };
}

function send(response: ServerResponse, { status, headers = {}, body }: S3Answer): void {
  const length =
    headers["content-length"] === undefined ? { "content-length": Buffer.byteLength(body ?? "") } : {};
  response.writeHead(status, { ...headers, ...length });
  response.end(body);
}
