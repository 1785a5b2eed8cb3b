/** A rule of the protocol that was seen broken. */
export interface Violation {
  readonly rule:
    | "lost"
    | "doubled"
    | "misfiled"
    | "order"
    | "books"
    | "half-visible"
    /** A committed file is gone. */
    | "missing"
    /** A log of the lake can't be read, or says something else than what was written. */
    | "torn"
    /** Vacuum took a file that was too young. */
    | "hasty"
    /** Vacuum left a file that no commit names. */
    | "leaked"
    /** A follower of the commit log was not given a committed row, or was given one twice. */
    | "missed"
    | "repeated"
    | "early-id"
    | "stuck"
    /** A partition stopped though the stream has lost nothing. */
    | "halted"
    | "crashed";
  readonly detail: string;
}
