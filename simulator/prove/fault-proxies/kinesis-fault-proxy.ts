import type { IncomingMessage } from "node:http";
import { HttpFaultProxy, type HttpFaultProxyOptions } from "./http-fault-proxy.ts";

/**
 * Stands in front of a local Kinesis server. Operations are those of the X-Amz-Target header: `PutRecords`.
 * Bodies are AWS JSON 1.1, as the SDK sends them. Local servers do not check signatures, so bodies may be
 * changed.
 */
export class KinesisFaultProxy extends HttpFaultProxy {
  static async listen(options: HttpFaultProxyOptions): Promise<KinesisFaultProxy> {
    const proxy = new KinesisFaultProxy(options);
    await proxy.up();
    return proxy;
  }

  protected override operationOf({ headers }: IncomingMessage): string {
    return String(headers["x-amz-target"] ?? "").replace(/^Kinesis_\d+\./, "");
  }
}
