/**
 * The state of one boot's clock in one partition. Stream times and block numbers are those of the partition.
 */
export interface BootLine {
  /** Stream time − boot clock; null = the boot has no line, or its line was given up. */
  readonly offsetMs: number | null;
  /** Stream time and number of the boot's newest block that is known to have been acknowledged. */
  readonly provenAtMs: number;
  readonly provenBlock: number;
  /** Stream time at the boot's newest block. */
  readonly seenAtMs: number;
}

/** The state from which the stream time of a partition continues, see `stream-time.ts`. */
export interface PartitionClock {
  /** Number of the newest block: 1, 2, … in the order of reading. */
  readonly blocks: number;
  /** From this block number on, all blocks are of one boot, on its line. */
  readonly aloneSince: number;
  /** Boot id of the newest block; "" = no block was read. */
  readonly boot: string;
  /** Stream time of the newest block's rows. */
  readonly rowTimeMs: number;
  /** By boot id. */
  readonly boots: Readonly<Record<string, BootLine>>;
  /**
   * The boots that wrote to partitions merged into this one, by `<boot id>@<partition>`, in this partition's
   * stream time. Absent if none were merged.
   */
  readonly merged?: Readonly<Record<string, MergedBoot>>;
}

export type MergedBoot = Pick<BootLine, "offsetMs" | "seenAtMs">;
