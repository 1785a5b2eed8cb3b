import type { CommitEntry } from "../../bridge/storage/commit-log.ts";
import type { CommittedChunk, CommittedRow } from "../../bridge/storage/follow/committed-rows.ts";
import { beginningOf, type FollowPosition } from "../../bridge/storage/follow/follow-position.ts";
import { comparePlaces } from "../../bridge/storage/follow/stream-order.ts";
import { readRows } from "../support/json-lake.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** Where followers of the commit log put rows: rows and position in one transaction, which compares the position. */
export class FollowerDestination {
  readonly #world: World;
  /** A transaction does not compare. */
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

  /** False: another follower has moved the position. */
  put({ rows, from, next, commit }: CommittedChunk): boolean {
    if (!this.#isUnguarded && !isSame(this.position, from)) return false;
    for (const row of rows) this.#rows.push(textOf(commit, row.table.key, row));
    this.position = next;
    return true;
  }

  /** The follower was told that it is too far behind. That must be so. */
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

  /** Each committed row came once, in the order of the log and of the stream. */
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

  #rowsOf({ number, tables }: CommitEntry): string[] {
    const rows = Object.entries(tables).flatMap(([key, { name, adds }]) =>
      adds.flatMap(({ path }) => {
        const bytes = this.#world.bytesOf(`${name}/${path}`);
        return bytes ? readRows(bytes).map((row) => ({ ...row, key })) : [];
      }),
    );
    return rows.toSorted(comparePlaces).map((row) => textOf(number, row.key, row));
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
