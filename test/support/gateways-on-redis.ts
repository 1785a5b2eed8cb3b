import type { TestContext } from "node:test";
import { RedisServer } from "./redis-server.ts";
import { SharedGateways } from "./shared-gateways.ts";

/** Two gateways with stream and window on a Redis of their own, for as long as the test runs. */
export async function startTwoOnRedis(
  context: TestContext,
  options: {
    readonly settings?: Readonly<Record<string, string>>;
    readonly environment?: Record<string, string>;
  } = {},
): Promise<{ server: RedisServer; gateways: SharedGateways }> {
  const { settings, environment = {} } = options;
  const open: { destroy(): Promise<void> }[] = [];
  context.after(async () => {
    for (const each of open.reverse()) await each.destroy();
  });
  const server = await RedisServer.start(settings);
  open.push(server);
  const flags = ["--stream", server.url, "--window", server.url];
  const gateways = await SharedGateways.start(2, flags, { environment });
  open.push(gateways);
  return { server, gateways };
}
