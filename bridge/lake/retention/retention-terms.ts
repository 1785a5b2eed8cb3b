import type { TopicVersion } from "../../topics/topic-catalog.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";

/**
 * By table name: how long rows stay after the end of their hour, ms. Tables that keep rows for ever are absent.
 * The newest version of a topic counts, also if it deleted the topic. If a name has several topics, the live ones
 * count before deleted ones, and the longest of them.
 */
export function retentionTerms(
  definitions: readonly TopicVersion[],
  quarantineMs: number | undefined,
): Map<string, number> {
  const newest = new Map<string, TopicVersion>();
  for (const version of definitions)
    if (version.version > (newest.get(version.topicId)?.version ?? 0)) newest.set(version.topicId, version);
  const terms = new Map<string, number>();
  const byName = new Map<string, TopicVersion[]>();
  for (const version of newest.values())
    byName.set(version.name, [...(byName.get(version.name) ?? []), version]);
  for (const [name, versions] of byName) {
    const live = versions.filter(({ deleted }) => deleted !== true);
    const termsOfName = (live.length > 0 ? live : versions).map(
      ({ retentionMs }) => retentionMs ?? Number.POSITIVE_INFINITY,
    );
    const longest = Math.max(...termsOfName);
    if (Number.isFinite(longest)) terms.set(name, longest);
  }
  if (quarantineMs !== undefined) terms.set(quarantineKey, quarantineMs);
  return terms;
}
