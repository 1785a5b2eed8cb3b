import { createMemoryWindow, type DedupWindow, openRedisWindow, type StreamLog } from "../../bridge/index.ts";
import type { GatewayConfig } from "../config.ts";
import type { RoleContext } from "../supervisor/run-child.ts";
import { orMend } from "./connect-redis.ts";

/** The dedupe window that goes with a stream and a lake. */
export async function openWindow(
  { config, logger }: RoleContext,
  { lakeId, stream }: { readonly lakeId: string; readonly stream: StreamLog },
): Promise<DedupWindow> {
  const { streamId } = stream;
  const partitions = () => stream.partitions.all.map(({ partition }) => partition);
  const { window } = config.backends;
  if (window.kind === "memory")
    return createMemoryWindow({ maxBytes: config.window.maxBytes, partitionCount: partitions().length });
  return await orMend("window", () =>
    openRedisWindow({
      target: window.redis,
      lakeId,
      streamId,
      partitions,
      timeoutMs: config.redis.timeoutMs,
      isSharedWithStream: sharesServer(config),
      logger,
    }),
  );
}

function sharesServer({ backends: { stream, window } }: GatewayConfig): boolean {
  if (stream.kind !== "redis" || window.kind !== "redis") return false;
  return stream.redis.host === window.redis.host && stream.redis.port === window.redis.port;
}
