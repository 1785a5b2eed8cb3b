import { type OnRedis, type RedisConfig, redisKind } from "../../../bridge/config.ts";
import { withSections } from "../../settings/gateway-config.ts";
import type { WindowKind } from "../window-kind.ts";

export const redisWindowKind: WindowKind<OnRedis> = {
  ...redisKind,
  open: async ({ config, logger }, { target, lakeId, stream, isSharedWithStream }) => {
    const [{ openRedisWindow }, { orMend }] = await Promise.all([
      import("../../../bridge/lake/window/index.ts"),
      import("../../redis/or-mend.ts"),
    ]);
    const { timeoutMs } = withSections<{ redis: RedisConfig }>(config).redis;
    const partitions = () => stream.partitions.all.map(({ partition }) => partition);
    const { streamId } = stream;
    return await orMend("window", () =>
      openRedisWindow({
        target: target.redis,
        lakeId,
        streamId,
        partitions,
        timeoutMs,
        isSharedWithStream,
        logger,
      }),
    );
  },
};
