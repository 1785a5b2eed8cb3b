import { crc32 } from "node:zlib";
import { at } from "../../bridge/block/block-format.ts";
import { PRODUCER_FORGOTTEN_AFTER_MS } from "../../bridge/consumer/check-block.ts";
import type { Move } from "../../bridge/storage/commit-log.ts";
import type { Row } from "../../bridge/storage/row.ts";
import { type BrokenVariant, withBatch } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import { withCommitLog } from "./with-commit-log.ts";

/** The block as if its producer's boot clock were its wall clock. */
function withWallClock(block: Uint8Array): Uint8Array {
  const bytes = Buffer.from(block);
  const wallMs = bytes.readUIntLE(at.wallMs, 6);
  const acknowledgedAtMs = bytes.readUIntLE(at.acknowledgedAtMs, 6);
  const stepMs = wallMs - bytes.readUIntLE(at.stampMs, 6);
  bytes.writeUIntLE(wallMs, at.stampMs, 6);
  if (acknowledgedAtMs > 0) bytes.writeUIntLE(acknowledgedAtMs + stepMs, at.acknowledgedAtMs, 6);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

const expiringByWallClock: BreakPorts = (ports) => {
  const { stream } = ports;
  const read: typeof stream.read = async (...query) => {
    const entries = await stream.read(...query);
    return entries.map((entry) => (entry.isEnd ? entry : { ...entry, block: withWallClock(entry.block) }));
  };
  return { ...ports, stream: Object.create(stream, { read: { value: read } }) as typeof stream };
};

/** As long as a clock that was ahead is not caught up with, rows get the time that it showed. */
const freezingIngestTime: BreakPorts = (ports) => {
  const { batch } = ports;
  const latestMs = new Map<number, number>();
  const frozen = (row: Row): Row => {
    const ingestTimeMs = Math.max(row.ingestTimeMs, latestMs.get(row.partition) ?? 0);
    latestMs.set(row.partition, ingestTimeMs);
    return { ...row, ingestTimeMs };
  };
  return withBatch(ports, {
    add: (topic, row, values) => batch.add(topic, frozen(row), values),
    quarantine: (row, facts) => batch.quarantine(frozen(row), facts),
  });
};

const forgettingProducersByWallClock: BreakPorts = (ports) =>
  withCommitLog(ports, {
    append: (entry) => {
      const oldestMs = ports.now() - PRODUCER_FORGOTTEN_AFTER_MS;
      const moves = Object.entries(entry.moves).map(([key, move]): [string, Move] => {
        const producers = Object.entries(move.producers).filter(([, { seenAtMs }]) => seenAtMs >= oldestMs);
        return [key, { ...move, producers: Object.fromEntries(producers) }];
      });
      return ports.commitLog.append({ ...entry, moves: Object.fromEntries(moves) });
    },
  });

/** Wall clocks taken for elapsed time. */
export const brokenClocks: readonly BrokenVariant[] = [
  {
    name: "ids that expire by the gateways' wall clocks",
    breaks: ["doubled"],
    options: { breakPorts: expiringByWallClock },
  },
  {
    name: "an ingest time that never goes back",
    breaks: ["misfiled"],
    options: { breakPorts: freezingIngestTime },
  },
  {
    name: "producers forgotten by the consumer's wall clock",
    breaks: ["halted"],
    options: { breakPorts: forgettingProducersByWallClock },
  },
  {
    name: "lanes that keep their ids, however long they were silent",
    breaks: ["halted"],
    options: { keepsIds: true },
  },
];
