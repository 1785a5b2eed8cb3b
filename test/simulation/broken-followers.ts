import type { CommittedChunk, CommittedRows } from "../../bridge/lake/follow/committed-rows.ts";
import type { RowReader } from "../../bridge/lake/follow/row-reader.ts";
import type { BrokenVariant } from "./broken-variants.ts";

type ReadChunks = CommittedRows["read"];

function reading(rows: CommittedRows, read: ReadChunks): CommittedRows {
  return { earliest: () => rows.earliest(), latest: () => rows.latest(), follow: rows.follow, read };
}

/** Skips each seventh entry. */
const leavingOut = (rows: CommittedRows): CommittedRows =>
  reading(rows, async function* (from) {
    for await (const chunk of rows.read(from)) yield chunk.commit % 7 === 0 ? { ...chunk, rows: [] } : chunk;
  });

/** A follower that continues within an entry gets the entry from its first row on. */
const readingAgain = (rows: CommittedRows): CommittedRows =>
  reading(rows, async function* (from) {
    let kept = from;
    for await (const chunk of rows.read({ ...from, row: 0 })) {
      yield { ...chunk, from: kept } satisfies CommittedChunk;
      kept = chunk.next;
    }
  });

/** The entries come in order, but the rows of each in the order of the files. */
const inFileOrder = (rows: CommittedRows): CommittedRows =>
  reading(rows, async function* (from) {
    for await (const chunk of rows.read(from)) yield { ...chunk, rows: chunk.rows.toReversed() };
  });

async function* orNone(slices: ReturnType<RowReader["rows"]>): ReturnType<RowReader["rows"]> {
  try {
    yield* slices;
  } catch {
    yield [];
  }
}

/** Takes files that another writer replaced and deleted for empty. */
const passingOverGoneFiles = (reader: RowReader): RowReader => ({
  rows: (files) => orNone(reader.rows(files)),
  landed: (landing) => orNone(reader.landed(landing)),
  count: (files) => reader.count(files),
  close: () => reader.close(),
});

const followed = { followersMax: 2 };

/** Variants of followers of the commit log. */
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
