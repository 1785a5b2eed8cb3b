import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** The object store, the lake in it, its tables and queries. */
export const lakeErrors = {
  STORE_FLUSH_FAILED: {
    meaning: "The disk refused to flush a file of the lake. What it holds is unknown, so the process exits.",
    retry: "no",
    remedy: "Check the disk. The gateway starts the process again; the stream keeps what is not filed.",
  },
  STORE_UNAVAILABLE: {
    meaning: "The lake can't be used now. Whether the last write took place is unknown.",
    retry: "depends",
    remedy:
      "Check the disk, the network or the S3 server. A file system without hard links can't hold a lake: use another.",
  },
  STORE_FULL: {
    meaning:
      "There is no room for the lake's files. Nothing is filed; the stream keeps what is acknowledged.",
    retry: "yes",
    remedy: "Free or add disk space, or raise the quota of the bucket. Filing goes on by itself.",
  },
  STORE_PATH_INVALID: {
    meaning:
      "A name is not a path of an object in the lake. This is a fault of Tidegate or of a damaged file.",
    retry: "no",
    remedy: "Report it with the message. Restore the file that names the path, if one does.",
  },
  LAKE_MISSING: {
    meaning: "There is no lake where the configuration names one.",
    retry: "no",
    remedy: "Correct `--lake` or `--data`. `tidegate up` makes a new lake.",
  },
  LAKE_VERSION: {
    meaning: "A newer Tidegate wrote a file of the lake.",
    retry: "no",
    remedy: "Install the newer version.",
  },
  LAKE_DAMAGED: {
    meaning: "A file of the lake is missing, or does not hold what it must. `details.path` names it.",
    retry: "depends",
    remedy:
      "Restore the file from a copy. If tables are ahead of the commit log, restore the whole lake from one copy.",
  },
  FOLLOWER_TOO_FAR_BEHIND: {
    meaning:
      "A follower of the commit log wants entries that were given up. `details.earliest` is the first that is left.",
    retry: "no",
    remedy:
      "Take the rows of the commits before it from the tables, and let the follower go on there. Or keep entries longer (`tables.commitRetentionMs`).",
  },
  FOLLOWER_AHEAD: {
    meaning: "A follower knows commits that the commit log does not have.",
    retry: "no",
    remedy:
      "Restore the lake and the follower's destination from one copy, or begin with an empty destination.",
  },
  FOLLOWER_ROWS_GONE: {
    meaning:
      "Another writer deleted files of a commit before a follower read them, and the table does not hold all of their rows.",
    retry: "no",
    remedy:
      "Take what is left from the table, and let the follower go on at the next commit. Let other writers keep replaced files as long as the commit log keeps entries.",
  },
  LAKE_MOVED: {
    meaning: "`tidegate migrate --lake-to` moved the lake elsewhere and closed it here.",
    retry: "no",
    remedy: "Use the `--lake` that the message names.",
  },
  LAKE_EXISTS: {
    meaning: "The place that the lake was to move to is not empty.",
    retry: "no",
    remedy: "Name an empty folder or prefix in `--lake-to`.",
  },
  LAKE_IN_USE: {
    meaning: "A gateway committed to the lake while it was being moved.",
    retry: "yes",
    remedy: "Stop every gateway on the lake, then move it again.",
  },
  PARQUET_FAILED: {
    meaning: "The database engine could not write or read a Parquet file.",
    retry: "yes",
    remedy:
      "Nothing, if it passes. If it runs out of memory, raise `tables.memoryLimitBytes` or lower `consumer.maxBatchBytes`.",
  },
  TOPIC_CONFLICT: {
    meaning: "The lake already holds another definition for this version of the topic.",
    retry: "no",
    remedy:
      "Let only gateways that share one registry use the lake. Restart the gateway: it takes over what the lake knows.",
  },
  TABLE_CONFLICT: {
    meaning:
      "Another writer changed the table so that new rows don't fit. The table is parked; its rows wait in the commit log.",
    retry: "depends",
    remedy:
      "Run the command that `tidegate status` names for the table. docs/operating/other-writers.md lists what other writers may do.",
  },
  TABLE_BEHIND: {
    meaning: "The table can be published again and catches up with what was committed meanwhile.",
    retry: "yes",
    remedy: "Nothing: it resumes by itself.",
  },
  QUERY_REFUSED: {
    meaning: "The query is more than one statement, is not a SELECT, or reads or returns too much.",
    retry: "no",
    remedy: "Send one SELECT. Narrow it by `event_date` and `event_hour`, or add a LIMIT.",
  },
  QUERY_FAILED: {
    meaning: "The database engine refused the SQL.",
    retry: "no",
    remedy: "Correct the SQL. The message is the engine's own.",
  },
} as const satisfies Record<string, ErrorEntry>;
