import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Metrics of requests to S3, and of local copies. */
export class S3Metrics {
  readonly #requests: Counter<"operation" | "outcome">;
  readonly #seconds: Histogram<"operation">;
  readonly #copies: Counter<"source">;
  readonly #copiedBytes: Counter;
  readonly #cacheBytes: Gauge;

  /** @param registry Default: a new one that no one reads. */
  constructor(registry: Registry = new Registry()) {
    const registers = [registry];
    this.#requests = new Counter({
      name: "tidegate_s3_requests_total",
      help: "HTTP requests to S3, by API operation and outcome (ok, absent, exists, no-answer, or the HTTP status).",
      labelNames: ["operation", "outcome"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "tidegate_s3_request_seconds",
      help: "Time until S3 answered, by API operation.",
      labelNames: ["operation"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.#copies = new Counter({
      name: "tidegate_s3_copies_total",
      help: "Local copies of objects that an engine read, by source (download, cache).",
      labelNames: ["source"],
      registers,
    });
    this.#copiedBytes = new Counter({
      name: "tidegate_s3_copied_bytes_total",
      help: "Bytes downloaded for local copies.",
      registers,
    });
    this.#cacheBytes = new Gauge({
      name: "tidegate_s3_cache_bytes",
      help: "Bytes of the kept local copies, as of their last check.",
      registers,
    });
  }

  request(operation: string, outcome: string, seconds: number): void {
    this.#requests.inc({ operation, outcome });
    this.#seconds.observe({ operation }, seconds);
  }

  copied(source: "download" | "cache", bytes: number): void {
    this.#copies.inc({ source });
    if (source === "download") this.#copiedBytes.inc(bytes);
  }

  cached(bytes: number): void {
    this.#cacheBytes.set(bytes);
  }
}
