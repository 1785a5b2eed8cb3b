/**
 * What is known of one producer's blocks for one partition. `checkBlock` finds resent blocks and gaps (G8)
 * by it.
 */
export interface ProducerMark {
  readonly lastSequence: number;
  /** Number of acknowledged messages up to and including the last block, if that block was acknowledged. */
  readonly ackedMessages: number;
  /** Stream time, ms, when the producer was last seen. The mark is forgotten after 24 h of stream time. */
  readonly seenAtMs: number;
  /**
   * Number of the producer's last block, see PartitionClock; absent if the block was numbered by another
   * clock.
   */
  readonly block?: number;
}
