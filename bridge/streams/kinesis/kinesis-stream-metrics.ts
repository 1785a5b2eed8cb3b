import { Counter, Gauge, type Registry } from "prom-client";
import type { KinesisStreamStatus } from "./kinesis-stream-status.ts";

/** Recorded per call, not per message. */
export interface KinesisStreamMetrics {
  appended(bytes: number, blocks: number): void;
  called(elapsedMs: number): void;
  failed(code: string): void;
  read(bytes: number, blocks: number): void;
  readFailed(code: string): void;
}

export function createKinesisStreamMetrics(
  registry: Registry,
  status: () => KinesisStreamStatus,
): KinesisStreamMetrics {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, value: (now: KinesisStreamStatus) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(status()));
      },
    });
  };
  const blocks = counter(
    "tidegate_stream_kinesis_appended_blocks_total",
    "Blocks that Kinesis has confirmed.",
  );
  const bytes = counter(
    "tidegate_stream_kinesis_appended_bytes_total",
    "Bytes of the blocks that Kinesis has confirmed.",
  );
  const calls = counter(
    "tidegate_stream_kinesis_append_calls_total",
    "PutRecords calls, failed ones included.",
  );
  const seconds = counter(
    "tidegate_stream_kinesis_append_seconds_total",
    "Time that PutRecords calls took, seconds.",
  );
  const failures = counter(
    "tidegate_stream_kinesis_append_failures_total",
    "How often a block, and those behind it, were not confirmed.",
    ["code"],
  );
  const readBlocks = counter("tidegate_stream_kinesis_read_blocks_total", "Records that were read.");
  const readBytes = counter(
    "tidegate_stream_kinesis_read_bytes_total",
    "Bytes of the records that were read.",
  );
  const readFailures = counter(
    "tidegate_stream_kinesis_read_failures_total",
    "Calls for reading that failed.",
    ["code"],
  );
  gauge("tidegate_stream_kinesis_open_shards", "Shards that take blocks.", ({ openShards }) => openShards);
  gauge(
    "tidegate_stream_kinesis_behind_seconds",
    "How far the shard that is read the furthest behind is behind.",
    ({ behindMs }) => behindMs / 1000,
  );
  gauge(
    "tidegate_stream_kinesis_retention_seconds",
    "How long the stream keeps records.",
    ({ retentionMs }) => retentionMs / 1000,
  );
  gauge("tidegate_stream_kinesis_held", "1 while nothing is appended.", ({ held }) => Number(held !== null));
  return {
    appended: (appendedBytes, count) => {
      blocks.inc(count);
      bytes.inc(appendedBytes);
    },
    called: (elapsedMs) => {
      calls.inc();
      seconds.inc(elapsedMs / 1000);
    },
    failed: (code) => failures.inc({ code }),
    read: (count, number) => {
      readBytes.inc(count);
      readBlocks.inc(number);
    },
    readFailed: (code) => readFailures.inc({ code }),
  };
}
