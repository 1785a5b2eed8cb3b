import { crc32 } from "node:zlib";
import { at } from "../../bridge/block/block-format.ts";
import type { Move } from "../../bridge/lake/commit-log/commit-log.ts";
import { producerForgottenAfterMs } from "../../bridge/tail/check-block.ts";
import type { Row } from "../../bridge/tail/row.ts";
import { type BrokenVariant, withBatch } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import { withCommitLog } from "./with-commit-log.ts";

/** Replaces the boot clock of a block by its producer's wall clock. */
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

/** Rows keep the time of a clock that was ahead until others catch up. */
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
      const oldestMs = ports.now() - producerForgottenAfterMs;
      const moves = Object.entries(entry.moves).map(([key, move]): [string, Move] => {
        const producers = Object.entries(move.producers).filter(([, { seenAtMs }]) => seenAtMs >= oldestMs);
        return [key, { ...move, producers: Object.fromEntries(producers) }];
      });
      return ports.commitLog.append({ ...entry, moves: Object.fromEntries(moves) });
    },
  });

/** Variants that take wall clocks for elapsed time. */
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
