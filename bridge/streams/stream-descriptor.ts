import type { KindDescriptor, KindTarget } from "../kind-descriptor.ts";

/** What a stream's status says, in terms that all kinds share. */
export interface StreamCondition {
  /** Why nothing is appended; null = it is. */
  readonly held: { readonly code: string; readonly message: string } | null;
  /** True if `held` stands in the way of reading, too. */
  readonly holdsReading: boolean;
  /** False while its server does not answer. */
  readonly isAnswering: boolean;
}

/** A stream that takes and gives everything. */
export const soundStream: StreamCondition = { held: null, holdsReading: false, isAnswering: true };

/**
 * A kind of stream, as far as this folder knows it.
 * @typeParam Status What such a stream says of itself, as one process sees it.
 */
export interface StreamDescriptor<Target extends KindTarget = KindTarget, Status = unknown>
  extends KindDescriptor<Target> {
  /** Where it is, without passwords: two that are equal are one stream. null = in the gateway's data folder. */
  placeOf(target: Target): string | null;
  condition(status: Status): StreamCondition;
  /** For people: a line, and one that begins with `  ! ` for each thing that somebody should look at. */
  summary(status: Status, url: string): string[];
}
