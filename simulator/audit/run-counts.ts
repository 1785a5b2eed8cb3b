/** What an audit counts of one run. */
export interface RunCounts {
  readonly sent: number;
  readonly acked: number;
  /** Messages in a table. */
  readonly stored: number;
  readonly quarantined: number;
  /** Poison that was acknowledged or is filed: the expected value of `quarantined`. */
  readonly plannedPoison: number;
  /** Messages that share an id with another one that is in a table. They belong in quarantine as well. */
  readonly plannedReuse: number;
  /**
   * Messages that were quarantined for a fault and sent again after their topic was corrected. They are in
   * the table as well.
   */
  readonly mended: number;
  /** Acknowledged, and neither in a table nor in quarantine. */
  readonly lost: number;
  /** Acknowledged and absent, because their event hour is below the retention of their table. */
  readonly expired: number;
  /** Rows after the first of their message, tables and quarantine together. */
  readonly duplicated: number;
  /** Rows with an id of the run, for which the run has no message or did not send it. */
  readonly phantom: number;
  /** Rows with a column that differs from the sent message. */
  readonly altered: number;
  /**
   * Rows that queries by date and hour, by device, or by event time do not find, because their files are
   * skipped.
   */
  readonly misplaced: number;
  /** Acknowledged messages that stand before an earlier one of their device. */
  readonly disordered: number;
  /**
   * Acknowledged and filed messages whose order is unknown, for example because the commit log no longer
   * names their stream.
   */
  readonly unordered: number;
  /** Filed, though the fleet never received the acknowledgement. */
  readonly unackedStored: number;
  /** Published without a possible acknowledgement, to a gateway that stayed up. */
  readonly delivered: number;
  /** Of those: neither in a table nor in quarantine. */
  readonly undelivered: number;
  /**
   * Further rows of messages without a readable id (raw ones, poison). No gateway can tell them from new
   * messages.
   */
  readonly anonymousCopies: number;
}
