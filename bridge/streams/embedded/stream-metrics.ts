import { Gauge, type Registry } from "prom-client";
import type { SpaceStatus } from "./space-budget.ts";

/** Gauges of the stream's space, looked up whenever they are collected. */
export function observeSpace(space: () => SpaceStatus, registry: Registry): void {
  const gauge = (name: string, help: string, value: (status: SpaceStatus) => number): void => {
    new Gauge({
      name: `tidegate_stream_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value(space()));
      },
    });
  };
  gauge("retained_bytes", "Blocks on disk that were not trimmed yet.", ({ retainedBytes }) => retainedBytes);
  gauge("max_bytes", "Retained bytes above which nothing is appended.", ({ maxBytes }) => maxBytes);
  gauge("file_bytes", "Size of the stream's file, free room in it included.", ({ fileBytes }) => fileBytes);
  gauge("disk_free_bytes", "Free space on the stream's disk.", ({ diskFreeBytes }) => diskFreeBytes);
  gauge(
    "disk_reserve_bytes",
    "Free space on its disk below which the stream does not grow.",
    ({ diskReserveBytes }) => diskReserveBytes,
  );
}
