import { Gauge, type Registry } from "prom-client";
import type { WindowStatus } from "../window/dedup-window.ts";

/** Metrics of the consumer's dedupe window. */
export class WindowMetrics {
  readonly #ids: Gauge;
  readonly #epochs: Gauge;
  readonly #bytes: Gauge;
  readonly #short: Gauge;
  readonly #spanMs: Gauge;
  readonly #overShare: Gauge;

  constructor(registry: Registry) {
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
    this.#ids = gauge("tidegate_consumer_window_ids", "Ids in the dedupe window.");
    this.#epochs = gauge(
      "tidegate_consumer_window_epochs",
      "Epochs of devices in the dedupe window, for topics with exact deduplication.",
    );
    this.#bytes = gauge("tidegate_consumer_window_bytes", "Bytes of the dedupe window.");
    this.#short = gauge(
      "tidegate_consumer_window_short",
      "1 while ids are missing that the dedupe window had to forget early.",
    );
    this.#spanMs = gauge(
      "tidegate_consumer_window_span_ms",
      "Span of stream time in which all ids are known, ms, except those of devices over their share.",
    );
    this.#overShare = gauge(
      "tidegate_consumer_window_over_share_devices",
      "Devices that send many more ids than others, and whose ids were forgotten early.",
    );
  }

  set({ ids, epochs, bytes, isShort, spanMs, devicesOverShare }: WindowStatus): void {
    this.#ids.set(ids);
    this.#epochs.set(epochs);
    this.#bytes.set(bytes);
    this.#short.set(isShort || devicesOverShare.length > 0 ? 1 : 0);
    this.#spanMs.set(spanMs);
    this.#overShare.set(devicesOverShare.length);
  }
}
