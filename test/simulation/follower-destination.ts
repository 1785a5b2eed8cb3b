import type { CommitEntry } from "../../bridge/lake/commit-log/commit-log.ts";
import { beginningOf, type FollowPosition } from "../../bridge/lake/commit-log/follow-position.ts";
import type { CommittedChunk, CommittedRow } from "../../bridge/lake/follow/committed-rows.ts";
import { comparePlaces } from "../../bridge/lake/follow/stream-order.ts";
import { committedRows } from "../support/committed-rows.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/**
 * The destination of followers of the commit log. One transaction writes rows and position, and compares the
 * position.
 */
export class FollowerDestination {
  readonly #world: World;
  /** If true, the transaction does not compare the position. */
  readonly #isUnguarded: boolean;
  readonly #rows: string[] = [];
  readonly #skipped = new Map<number, number>();
  readonly violations: Violation[] = [];
  position: FollowPosition = beginningOf(1);

  constructor(world: World, options: { readonly isUnguarded: boolean }) {
    this.#world = world;
    this.#isUnguarded = options.isUnguarded;
  }

  get rows(): number {
    return this.#rows.length;
  }

  get skippedCommits(): number {
    return this.#skipped.size;
  }

  /** False if another follower has moved the position. */
  put({ rows, from, next, commit }: CommittedChunk): boolean {
    if (!this.#isUnguarded && !isSame(this.position, from)) return false;
    for (const row of rows) this.#rows.push(textOf(commit, row.table.key, row));
    this.position = next;
    return true;
  }

  /** The follower got an error that it is too far behind. This checks the claim. */
  skipTo(earliest: number): void {
    const { commit, row } = this.position;
    if (earliest <= commit) return;
    const givenUp = Math.max(1, ...this.#world.lake.commits.map(({ upkeep }) => upkeep?.firstKept ?? 1));
    if (earliest > givenUp)
      this.violations.push({
        rule: "missed",
        detail: `told to go on at ${earliest}, kept from ${givenUp} on`,
      });
    for (let number = commit; number < earliest; number++)
      this.#skipped.set(number, number === commit ? row : 0);
    this.position = beginningOf(earliest);
  }

  /** Checks that each committed row came once, in the order of the log and of the stream. */
  check(): Violation[] {
    const wanted = this.#world.lake.commits.flatMap((entry) => {
      const rows = this.#rowsOf(entry);
      const done = this.#skipped.get(entry.number);
      return done === undefined ? rows : rows.slice(0, done);
    });
    const at = wanted.findIndex((row, index) => row !== this.#rows[index]);
    if (at < 0 && wanted.length === this.#rows.length) return this.violations;
    const place = at < 0 ? wanted.length : at;
    const found = this.#rows[place];
    const isRepeated = found !== undefined && this.#rows.indexOf(found) < place;
    const detail = `row ${place} is ${found ?? "none"}, not ${wanted[place] ?? "none"}`;
    return [...this.violations, { rule: isRepeated ? "repeated" : "missed", detail }];
  }

  #rowsOf(entry: CommitEntry): string[] {
    const rows = committedRows((path) => this.#world.bytesOf(path), [entry]);
    return rows.toSorted(comparePlaces).map((row) => textOf(row.commit, row.table, row));
  }
}

type Placed = Pick<CommittedRow, "deviceId" | "partition" | "position" | "index" | "payloadCrc">;

function textOf(commit: number, key: string, row: Placed): string {
  const { deviceId, partition, position, index, payloadCrc } = row;
  return `${commit} ${key} ${deviceId} ${partition}/${Number(position)}/${index} ${payloadCrc}`;
}

function isSame(left: FollowPosition, right: FollowPosition): boolean {
  return left.commit === right.commit && left.row === right.row;
}
