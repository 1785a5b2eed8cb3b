import { build, type Histogram } from "hdr-histogram-js";

/** What a fleet has done so far. Messages are counted once each, however often they were published. */
export class FleetCounters {
  sent = 0;
  acked = 0;
  gaveUp = 0;
  /** Given up on purpose: by devices that started again or were gone before an answer. */
  forgotten = 0;
  /** Left with a gateway that lived on, where no acknowledgement can come. */
  delivered = 0;
  /** Messages of which nothing is to be waited for any more. */
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
  /** Connections opened again by the fault `takeover`, while the one before lived. */
  takeovers = 0;
  /** Devices that started again by the fault `reboot`. */
  reboots = 0;
  /** Connections ended because the gateway was silent for too long. */
  timeouts = 0;
  /** Acknowledgements of packet identifiers that were not in flight. */
  strayAcks = 0;
  /** Connections that could not be made, or ended by an error of the network. */
  networkErrors = 0;
  /** By the first write of a message, µs. */
  readonly ackLatency: Histogram = latencyHistogram();
  /** By the moment at which the message was due, µs: what a device's user waits, also while the fleet could not publish. */
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
