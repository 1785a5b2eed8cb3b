/** A broken rule of the protocol. */
export interface Violation {
  readonly rule:
    | "lost"
    | "doubled"
    | "misfiled"
    | "order"
    | "books"
    | "half-visible"
    /** The log says that a table shows commits which it does not show, or rows wait to the end. */
    | "unsettled"
    /** A reader finds a committed row more than once, or not at all. */
    | "live-twice"
    | "live-nowhere"
    /** A committed file is gone. */
    | "missing"
    /** A log of the lake can't be read, or differs from what was written. */
    | "torn"
    /** Vacuum took a file that was too young. */
    | "hasty"
    /** Vacuum left a file that no commit names. */
    | "leaked"
    /** A follower of the commit log missed a committed row, or got one twice. */
    | "missed"
    | "repeated"
    | "early-id"
    | "stuck"
    /** A partition stopped although the stream lost no blocks. */
    | "halted"
    | "crashed";
  readonly detail: string;
}
