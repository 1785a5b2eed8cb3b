import { build, type Histogram } from "hdr-histogram-js";

/** The fleet's counts so far. Each message is counted once, however often it was published. */
export class FleetCounters {
  sent = 0;
  acked = 0;
  gaveUp = 0;
  /** Given up on purpose: by devices that restarted or left before an answer. */
  forgotten = 0;
  /** Left with a gateway that stayed up, if no acknowledgement can come. */
  delivered = 0;
  /** Messages whose outcome is final. */
  settled = 0;
  /** Of the sent ones: those of the fault `poison`. */
  poison = 0;
  /** PUBLISH packets written again with DUP = 1, after a connection ended before their acknowledgement. */
  resent = 0;
  /** Second copies of the faults `duplicate` and `again`. */
  copies = 0;
  /** CONNACKs with a return code other than 0. */
  refusedConnects = 0;
  /** Connections that the gateway ended while publishes on them were unacknowledged. */
  refusedPublishes = 0;
  /** Connections that were opened again after the first time. */
  reconnects = 0;
  /** Connections cut by the fault `disconnect`. */
  cuts = 0;
  /** Connections opened again by the fault `takeover`, while the previous one was still open. */
  takeovers = 0;
  /** Devices that the fault `reboot` restarted. */
  reboots = 0;
  /** Connections ended because the gateway was silent for too long. */
  timeouts = 0;
  /** Acknowledgements of packet identifiers that were not in flight. */
  strayAcks = 0;
  /** Connections that could not be made, or that a network error ended. */
  networkErrors = 0;
  /** By the first write of a message, µs. */
  readonly ackLatency: Histogram = latencyHistogram();
  /**
   * By the moment at which the message was due, µs: the wait of a device's user, including times when the
   * fleet could not publish.
   */
  readonly dueLatency: Histogram = latencyHistogram();
}

const latencyMaxUs = 3_600_000_000;

function latencyHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: latencyMaxUs,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });
}

export function recordMs(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.min(latencyMaxUs, Math.max(1, Math.round(ms * 1000))));
}
