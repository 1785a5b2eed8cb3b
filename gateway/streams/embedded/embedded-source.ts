import { existsSync } from "node:fs";
import { openEmbeddedStream, retireStream } from "../../../bridge/streams/embedded/index.ts";
import { GatewayError } from "../../errors.ts";
import type { MigrationSource } from "../migration-source.ts";
import type { SourceOptions } from "../stream-kind.ts";

/** The stream in a data folder that the migration has locked. */
export function embeddedSource({ config }: Pick<SourceOptions, "config">): MigrationSource {
  const { data, stream: folder } = config.folders;
  return {
    name: "the embedded stream",
    config,
    begin: async () => {
      if (existsSync(folder)) return;
      throw new GatewayError(
        "MIGRATE_NOTHING",
        `There is no embedded stream in ${data}: it was migrated before, or --data names another folder. To migrate from a stream in Redis, use --from redis://HOST:PORT/DB.`,
        { retryable: false },
      );
    },
    ends: async () => {
      const stream = await openEmbeddedStream({ mode: "read", folder, maxBytes: config.stream.maxBytes });
      try {
        const { streamId, partitionCount } = stream;
        const partitions = Array.from({ length: partitionCount }, (_, partition) => partition);
        const states = await Promise.all(partitions.map((partition) => stream.partitionState(partition)));
        const highest = states.map((state) => state.highest);
        return { streamId, highest, comparePositions: stream.comparePositions.bind(stream) };
      } finally {
        await stream.close();
      }
    },
    close: async () => retireStream(folder),
  };
}
