import type { IncomingMessage } from "node:http";
import { ConditionalPut } from "./conditional-put.ts";
import type { HttpAnswer, HttpHead, HttpRequest } from "./http-fault.ts";
import { HttpFaultProxy, type HttpFaultProxyOptions } from "./http-fault-proxy.ts";
import { s3Error } from "./s3-faults.ts";
import { s3Operation } from "./s3-operation.ts";

export interface S3FaultProxyOptions extends HttpFaultProxyOptions {
  /** The server. s3rver gets conditional puts, and is spared calls that it would store wrongly. */
  readonly server: "s3rver" | "radosgw";
}

/**
 * Stands in front of a local S3 server. Buckets are in the path. Operations have the names of the API:
 * `PutObject`. Clients sign for the address of the proxy. radosgw sees this address in the Host header and
 * accepts it; s3rver does not check signatures.
 */
export class S3FaultProxy extends HttpFaultProxy {
  readonly #conditionalPut: ConditionalPut | null;

  private constructor(options: S3FaultProxyOptions) {
    super(options);
    this.#conditionalPut = options.server === "s3rver" ? new ConditionalPut() : null;
  }

  static async listen(options: S3FaultProxyOptions): Promise<S3FaultProxy> {
    const proxy = new S3FaultProxy(options);
    await proxy.up();
    return proxy;
  }

  protected override operationOf({ method, url, headers }: IncomingMessage): string {
    return s3Operation(method ?? "", url ?? "/", headers);
  }

  protected override needsWhole(head: HttpHead): boolean {
    return this.#conditionalPut !== null && (isChunked(head) || this.#conditionalPut.concerns(head));
  }

  protected override answer(
    request: HttpRequest,
    ask: (request: HttpRequest) => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    if (!this.#conditionalPut) return ask(request);
    // s3rver would store the frames as part of the object; radosgw 16 refuses the trailers itself.
    if (isChunked(request))
      return Promise.resolve(s3Error(501, "NotImplemented", "aws-chunked is not implemented"));
    return this.#conditionalPut.answer(request, ask);
  }
}

function isChunked({ headers }: HttpHead): boolean {
  return String(headers["content-encoding"] ?? "").includes("aws-chunked");
}
