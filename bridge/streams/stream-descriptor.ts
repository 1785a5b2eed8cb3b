import type { KindDescriptor, KindTarget } from "../kind-descriptor.ts";

/** The status of a stream, in terms that all kinds share. */
export interface StreamCondition {
  /** Why appends are held; null = they are not. */
  readonly held: { readonly code: string; readonly message: string } | null;
  /** True if `held` also prevents reading. */
  readonly holdsReading: boolean;
  /** False while the stream's server does not answer. */
  readonly isAnswering: boolean;
}

/** The condition of a stream without problems. */
export const soundStream: StreamCondition = { held: null, holdsReading: false, isAnswering: true };

/**
 * The part of a kind of stream that the bridge knows.
 * @typeParam Status The status of such a stream, as one process sees it.
 */
export interface StreamDescriptor<Target extends KindTarget = KindTarget, Status = unknown>
  extends KindDescriptor<Target> {
  /** The place without passwords: equal places are the same stream. null = in the gateway's data folder. */
  placeOf(target: Target): string | null;
  condition(status: Status): StreamCondition;
  /** For people: one line, and a line that begins with `  ! ` for each warning. */
  summary(status: Status, url: string): string[];
}
