import {
  compareSpecificity,
  matchTopicFilter,
  type TopicFilter,
} from "../../devices/protocol/topic-filter.ts";

/** A version of a topic, as far as it says which messages are its own. */
export interface JudgingVersion {
  readonly topicId: string;
  readonly version: number;
  /** null if it is missing or can't be read. */
  readonly filter: TopicFilter | null;
  readonly isDeleted: boolean;
  /** ms since the epoch; -Infinity if the definition does not say. */
  readonly createdAtMs: number;
}

/** When messages were judged, ms since the epoch. */
export interface JudgedSpan {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/**
 * Versions that may have judged messages of this topic name in the span. A name belongs to the most specific
 * filter, so a version is left out if another topic with a more specific filter was there all the time.
 */
export function versionsInForce<Version extends JudgingVersion>(
  all: readonly Version[],
  topicName: string,
  { startedAtMs, endedAtMs }: JudgedSpan,
): Version[] {
  const isFollowed = ({ topicId, version }: Version, byMs: number) =>
    all.some(
      (other) =>
        other.topicId === topicId &&
        other.version > version &&
        Number.isFinite(other.createdAtMs) &&
        other.createdAtMs <= byMs,
    );
  const inForce = all.filter((version) => {
    const { filter, isDeleted, createdAtMs } = version;
    if (isDeleted || !filter || matchTopicFilter(filter, topicName) === null) return false;
    return createdAtMs <= endedAtMs && !isFollowed(version, startedAtMs);
  });
  const lasting = inForce.filter(
    (version) => version.createdAtMs <= startedAtMs && !isFollowed(version, endedAtMs),
  );
  return inForce.filter((version) => !lasting.some((other) => isMoreSpecific(other, version)));
}

function isMoreSpecific({ filter: left }: JudgingVersion, { filter: right }: JudgingVersion): boolean {
  return left !== null && right !== null && compareSpecificity(left, right) > 0;
}
