import type { CommittedChunk, CommittedRows } from "../../bridge/storage/follow/committed-rows.ts";
import type { RowReader } from "../../bridge/storage/follow/row-reader.ts";
import type { BrokenVariant } from "./broken-variants.ts";

type ReadChunks = CommittedRows["read"];

function reading(rows: CommittedRows, read: ReadChunks): CommittedRows {
  return { earliest: () => rows.earliest(), latest: () => rows.latest(), follow: rows.follow, read };
}

/** Each seventh entry is passed over. */
const leavingOut = (rows: CommittedRows): CommittedRows =>
  reading(rows, async function* (from) {
    for await (const chunk of rows.read(from)) yield chunk.commit % 7 === 0 ? { ...chunk, rows: [] } : chunk;
  });

/** A follower that goes on within an entry is given the entry from its first row on. */
const readingAgain = (rows: CommittedRows): CommittedRows =>
  reading(rows, async function* (from) {
    let kept = from;
    for await (const chunk of rows.read({ ...from, row: 0 })) {
      yield { ...chunk, from: kept } satisfies CommittedChunk;
      kept = chunk.next;
    }
  });

/** The entries come in order, the rows of each as they stand in the files. */
const inFileOrder = (rows: CommittedRows): CommittedRows =>
  reading(rows, async function* (from) {
    for await (const chunk of rows.read(from)) yield { ...chunk, rows: chunk.rows.toReversed() };
  });

/** Files that another writer replaced and deleted count as files without rows. */
const passingOverGoneFiles = (reader: RowReader): RowReader => ({
  async *rows(files) {
    try {
      yield* reader.rows(files);
    } catch {
      yield [];
    }
  },
  count: (files) => reader.count(files),
  close: () => reader.close(),
});

const followed = { followersMax: 2 };

/** What goes wrong where the commit log is followed. */
export const brokenFollowers: readonly BrokenVariant[] = [
  {
    name: "a follower port that leaves out an entry",
    breaks: ["missed"],
    options: { ...followed, breakFollower: leavingOut },
  },
  {
    name: "a follower port that reads an entry again",
    breaks: ["repeated"],
    options: { ...followed, breakFollower: readingAgain },
  },
  {
    name: "a follower port that hands rows over in another order",
    breaks: ["missed"],
    options: { ...followed, breakFollower: inFileOrder },
  },
  {
    name: "a destination that moves its position without compare",
    breaks: ["repeated"],
    options: { ...followed, movesUnguarded: true },
  },
  {
    name: "a follower port that passes over files that another writer deleted",
    breaks: ["missed"],
    options: { ...followed, breakReader: passingOverGoneFiles, interference: 0.05, commitsPerVacuum: 1000 },
  },
];
