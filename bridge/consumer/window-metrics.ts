import { Gauge, type Registry } from "prom-client";
import type { WindowStatus } from "../window/dedup-window.ts";

/** What the consumer reports of its dedupe window. */
export class WindowMetrics {
  readonly #ids: Gauge;
  readonly #epochs: Gauge;
  readonly #bytes: Gauge;
  readonly #short: Gauge;
  readonly #spanMs: Gauge;
  readonly #overShare: Gauge;

  constructor(registry: Registry) {
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `tidegate_consumer_window_${name}`, help, registers: [registry] });
    this.#ids = gauge("ids", "Ids in the dedupe window.");
    this.#epochs = gauge(
      "epochs",
      "Devices, by epoch, of topics with exact deduplication in the dedupe window.",
    );
    this.#bytes = gauge("bytes", "Bytes of the dedupe window.");
    this.#short = gauge("short", "1 while the dedupe window had to forget ids before their time.");
    this.#spanMs = gauge(
      "span_ms",
      "Stream time for which ids are known for sure, ms; devices over their share aside.",
    );
    this.#overShare = gauge(
      "over_share_devices",
      "Devices that send many more ids than others and had some of theirs forgotten before their time.",
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
