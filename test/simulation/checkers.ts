import { type CommitEntry, quarantineKey } from "../../bridge/lake/commit-log/commit-log.ts";
import { noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";
import { type CommittedRow, committedFiles, committedRows } from "../support/committed-rows.ts";
import type { FiledRow } from "../support/json-lake.ts";
import { movingTopicIds } from "./moving-topics.ts";
import { type Expected, expectedOf } from "./oracle.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** Compares the lake with the sent messages, after all blocks were read. */
export function checkLake(world: World): Violation[] {
  const { commits } = world.lake;
  // The loss of a file was reported when it was deleted.
  const rows = committedRows((path) => world.bytesOf(path), commits);
  const commitByPlace = new Map(rows.map((row) => [placeOf(row), row.commit]));
  const commitOf = (place: string) => commitByPlace.get(place) ?? 0;
  const expected = expectedOf(world.workload.history, world.workload.times, commitOf);
  return [
    ...checkRows(expected, rows),
    ...checkDoubled(world, rows),
    ...checkOrder(rows),
    ...checkBooks(world, expected, commits),
    ...checkTables(world, commits),
  ];
}

/** Each message that must be filed is in the right table, and no others are. */
function checkRows(expected: Expected, rows: readonly CommittedRow[]): Violation[] {
  const violations: Violation[] = [];
  const filed = new Map<string, CommittedRow>();
  for (const row of rows) {
    const place = placeOf(row);
    const wanted = expected.rows.get(place);
    if (filed.has(place)) violations.push({ rule: "doubled", detail: `${place} was filed twice` });
    else if (!wanted) violations.push({ rule: "doubled", detail: `${place} is a duplicate and was filed` });
    else if (
      wanted.table !== row.table ||
      wanted.reason !== row.reason ||
      wanted.streamTimeMs !== row.streamTimeMs ||
      wanted.ingestTimeMs !== row.ingestTimeMs
    ) {
      const times = `${row.streamTimeMs - wanted.streamTimeMs} and ${row.ingestTimeMs - wanted.ingestTimeMs} ms off`;
      violations.push({ rule: "misfiled", detail: `${place} is in ${row.table} (${row.reason}), ${times}` });
    }
    filed.set(place, row);
  }
  for (const [place, { message }] of expected.rows)
    if (!filed.has(place))
      violations.push({ rule: "lost", detail: `${place}: ${message.deviceId} ${message.id}` });
  return violations;
}

/**
 * G3, by the world's time: no id twice with the same content if the second was appended within a window
 * after the first was sealed. A row of a table may follow one of the quarantine, because the topic may have
 * been mended meanwhile.
 */
function checkDoubled(world: World, rows: readonly CommittedRow[]): Violation[] {
  const violations: Violation[] = [];
  const windowMs = new Map(
    world.workload.topics.map(({ topicId, dedupe, dedupeWindowMs }) => [
      topicId,
      dedupe === "exact" ? Number.POSITIVE_INFINITY : dedupeWindowMs,
    ]),
  );
  const blocks = new Map(
    world.workload.history.flatMap((list, partition) =>
      list.map((block) => [`${partition}/${block.position}`, block] as const),
    ),
  );
  /** Expiry, by key and whether the row is quarantined. */
  const known = new Map<string, number>();
  const inOrder = rows
    .filter((row) => row.messageId !== null && row.reason !== "id-reused")
    .toSorted(byPosition);
  for (const row of inOrder) {
    // Topics that take names from each other count as one here, because the name is part of the content.
    const topic = movingTopicIds.includes(row.topicId) ? "moving" : row.topicId;
    const key = JSON.stringify([topic, row.deviceId, row.messageId, ...contentOf(row)]);
    const block = blocks.get(`${row.partition}/${row.position}`);
    if (!block) continue;
    const isQuarantined = row.reason !== null;
    const barred = [known.get(key) ?? 0, isQuarantined ? (known.get(`quarantined ${key}`) ?? 0) : 0];
    const earlyMs = Math.max(...barred) - block.appendedAtMs;
    if (earlyMs > 0)
      violations.push({ rule: "doubled", detail: `${key} at ${placeOf(row)}, ${earlyMs} ms too early` });
    known.set(
      isQuarantined ? `quarantined ${key}` : key,
      block.sealedAtMs + (windowMs.get(row.topicId) ?? 0),
    );
  }
  return violations;
}

/** The content that tells resends from reused ids. An unreadable event time is filed as the ingest time. */
function contentOf(row: CommittedRow): unknown[] {
  const { topicName, eventTimeMs, eventTimeMicros, payloadCrc } = row;
  const isRead = !row.eventTimeOutside || eventTimeMs !== row.ingestTimeMs || eventTimeMicros > 0;
  return [topicName, payloadCrc, ...(isRead ? [eventTimeMs, eventTimeMicros] : [])];
}

/**
 * G5: a device's rows of one table are in the order of the stream: in each file, and from commit to commit.
 * The rows of one commit may be in several files.
 */
function checkOrder(rows: readonly CommittedRow[]): Violation[] {
  const violations: Violation[] = [];
  const inFile = new Map<string, CommittedRow>();
  /** The last row in stream order of the newest commit, and of those before it. */
  const last = new Map<string, { readonly before: CommittedRow | null; readonly ofCommit: CommittedRow }>();
  const compare = (before: CommittedRow | null | undefined, row: CommittedRow) => {
    if (before && byPosition(before, row) > 0)
      violations.push({ rule: "order", detail: `${placeOf(row)} after ${placeOf(before)}` });
  };
  for (const row of rows) {
    const key = JSON.stringify([row.table, row.deviceId]);
    const fileKey = `${key} ${row.path}`;
    compare(inFile.get(fileKey), row);
    inFile.set(fileKey, row);
    const known = last.get(key);
    const isSame = known?.ofCommit.commit === row.commit;
    const before = known ? (isSame ? known.before : known.ofCommit) : null;
    compare(before, row);
    const isLater = !(known && isSame) || byPosition(known.ofCommit, row) < 0;
    last.set(key, { before, ofCommit: isLater ? row : known.ofCommit });
  }
  return violations;
}

/** G8: the counters of the last commit equal the sent messages. */
function checkBooks(world: World, expected: Expected, commits: readonly CommitEntry[]): Violation[] {
  return expected.counters.flatMap((counters, partition) => {
    const key = partitionKey(world.stream.streamId, partition);
    const counted = commits.findLast((entry) => entry.moves[key])?.moves[key]?.counters;
    const wanted = { ...counters, unaccounted: 0 };
    const isEmpty = counted === undefined && counters.read === 0;
    const isRight = isEmpty || JSON.stringify(sorted(counted)) === JSON.stringify(sorted(wanted));
    return isRight
      ? []
      : [
          {
            rule: "books" as const,
            detail: `${partition}: ${JSON.stringify(counted)}, not ${JSON.stringify(wanted)}`,
          },
        ];
  });
}

/**
 * G2: after each entry of its log a table shows exactly the table files of commits up to its txn, and in the
 * end all of them. For landed rows, `LiveRecord` checks it row by row.
 */
function checkTables(world: World, commits: readonly CommitEntry[]): Violation[] {
  const violations: Violation[] = [];
  for (const [key, name] of [
    ...new Map(world.workload.topics.map((topic) => [topic.topicId, topic.name])),
    [quarantineKey, quarantineKey] as const,
  ]) {
    const versions = world.lake.tables.get(name)?.versions ?? [];
    for (const [number, { shown, files }] of versions.entries()) {
      const whole = addsUpTo(commits, key, shown.direct);
      if (whole.length !== files.size || whole.some((path) => !files.has(path)))
        violations.push({ rule: "half-visible", detail: `${name} at entry ${number}, txn ${shown.direct}` });
    }
    const { shown, files } = versions.at(-1) ?? { shown: noCommits, files: new Set() };
    if (addsUpTo(commits, key, commits.length).length !== files.size)
      violations.push({ rule: "half-visible", detail: `${name} shows commits up to ${shown.direct} only` });
  }
  return violations;
}

function addsUpTo(commits: readonly CommitEntry[], key: string, number: number): string[] {
  return commits
    .filter((entry) => entry.number <= number)
    .flatMap((entry) => committedFiles(entry).filter(({ table }) => table === key))
    .map(({ add }) => add.path);
}

function placeOf(row: FiledRow): string {
  return `${row.partition}/${row.position}/${row.index}`;
}

function byPosition(left: FiledRow, right: FiledRow): number {
  if (left.partition !== right.partition) return left.partition - right.partition;
  if (left.position !== right.position) return left.position < right.position ? -1 : 1;
  return left.index - right.index;
}

function sorted(counters: object | undefined): [string, unknown][] {
  return Object.entries(counters ?? {}).toSorted(([left], [right]) => (left < right ? -1 : 1));
}
