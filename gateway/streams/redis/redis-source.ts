import { setTimeout as delay } from "node:timers/promises";
import {
  closeMovedRedisStream,
  compareRedisPositions,
  type RedisStreamSurvey,
  surveyRedisStream,
} from "../../../bridge/streams/redis/index.ts";
import { shownUrl } from "../../../devices/protocol/shown-url.ts";
import { gatewayName } from "../../data-folder/gateway-name.ts";
import { GatewayError } from "../../errors.ts";
import { orMend } from "../../redis/or-mend.ts";
import type { MigrationSource } from "../migration-source.ts";
import type { SourceOptions } from "../stream-kind.ts";
import { redisConfigOf, targetOf } from "./redis-target.ts";

const pollMs = 250;
/** A killed consumer is a member until its lease expires. */
const leasesWaited = 1.5;
/** The consumer here is alone and must file all messages, so its time to drain is practically unlimited. */
const drainMs = 24 * 3_600_000;

/** A stream in Redis whose gateways have stopped. */
export function redisSource({ config, movedTo, logger, onWaiting }: SourceOptions): MigrationSource {
  const url = shownUrl(config.stream.url);
  const site = { target: targetOf(config), timeoutMs: redisConfigOf(config).timeoutMs, logger };
  const survey = async (): Promise<RedisStreamSurvey> => {
    const found = await orMend("stream", () => surveyRedisStream(site));
    if (found && found.movedTo === null) return found;
    const why = found ? `was moved to ${found.movedTo} before` : "does not exist";
    throw new GatewayError("MIGRATE_NOTHING", `The stream at ${url} ${why}: there is nothing to migrate.`, {
      retryable: false,
    });
  };
  return {
    name: `the stream at ${url}`,
    config: { ...config, shutdown: { ...config.shutdown, timeoutMs: drainMs } },
    begin: async () => {
      // The gateway of this data folder has stopped: the migration holds its lock.
      const own = gatewayName(config.folders.data);
      const deadlineMs = performance.now() + config.leases.leaseMs * leasesWaited;
      for (;;) {
        const others = (await survey()).members.filter((name) => name !== own);
        if (others.length === 0) return;
        if (performance.now() >= deadlineMs) throw inUse(url, others);
        onWaiting(others);
        await delay(pollMs);
      }
    },
    ends: async () => ({ ...(await survey()), comparePositions: compareRedisPositions }),
    close: async (ends) => {
      await closeMovedRedisStream(site, ends, movedTo);
      return { movedTo: null };
    },
  };
}

function inUse(url: string, names: readonly string[]): GatewayError {
  return new GatewayError(
    "MIGRATE_IN_USE",
    `Gateways still run on ${url}: ${names.join(", ")}. Stop all of them, then migrate again.`,
    { retryable: true, details: { gateways: names } },
  );
}
