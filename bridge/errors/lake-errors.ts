import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Errors of the object store, the lake in it, its tables and queries. */
export const lakeErrors = {
  STORE_FLUSH_FAILED: {
    meaning:
      "The disk did not flush a file of the lake. The file's content is unknown, so the process exits.",
    retry: "no",
    remedy: "Check the disk. The gateway restarts the process; the stream keeps messages that are not filed.",
  },
  STORE_UNAVAILABLE: {
    meaning: "The lake is unavailable. Whether the last write succeeded is unknown.",
    retry: "depends",
    remedy: "Check the disk, the network or the S3 server. A lake needs a file system with hard links.",
  },
  STORE_FULL: {
    meaning:
      "There is no room for the lake's files. Filing stops; the stream keeps all acknowledged messages.",
    retry: "yes",
    remedy: "Free or add disk space, or raise the quota of the bucket. Filing resumes by itself.",
  },
  STORE_PATH_INVALID: {
    meaning:
      "A name is not a valid path of an object in the lake. A file is damaged, or this is a fault of Tidegate.",
    retry: "no",
    remedy: "Restore the file that names the path, if there is one. Otherwise report the message.",
  },
  LAKE_MISSING: {
    meaning: "There is no lake at the configured place.",
    retry: "no",
    remedy: "Correct `--lake` or `--data`. `tidegate up` creates a new lake.",
  },
  LAKE_VERSION: {
    meaning: "A newer Tidegate wrote a file of the lake.",
    retry: "no",
    remedy: "Install the newer version.",
  },
  LAKE_DAMAGED: {
    meaning: "A file of the lake is missing or has invalid content. `details.path` names the file.",
    retry: "depends",
    remedy:
      "Restore the file from a copy. If tables are ahead of the commit log, restore the whole lake from one copy.",
  },
  FOLLOWER_TOO_FAR_BEHIND: {
    meaning:
      "A follower of the commit log asks for entries that were deleted. `details.earliest` is the first entry that is left.",
    retry: "no",
    remedy:
      "Read the rows of earlier commits from the tables, and let the follower continue at the first entry left. To prevent this, keep entries longer (`tables.commitRetentionMs`).",
  },
  FOLLOWER_AHEAD: {
    meaning: "The position of a follower lies after the last commit of the commit log.",
    retry: "no",
    remedy:
      "Restore the lake and the follower's destination from one copy, or start with an empty destination.",
  },
  FOLLOWER_ROWS_GONE: {
    meaning:
      "Files of a commit were deleted before a follower read them, and the table lacks some of their rows.",
    retry: "no",
    remedy:
      "Read the remaining rows from the table, and let the follower continue at the next commit. Let other writers keep replaced files as long as the commit log keeps entries.",
  },
  LAKE_MOVED: {
    meaning: "`tidegate migrate --lake-to` moved the lake to another place and closed this one.",
    retry: "no",
    remedy: "Use the `--lake` that the message names.",
  },
  LAKE_EXISTS: {
    meaning: "The new place of the lake is not empty.",
    retry: "no",
    remedy: "Name an empty folder or prefix in `--lake-to`.",
  },
  LAKE_IN_USE: {
    meaning: "A gateway committed to the lake while it was being moved.",
    retry: "yes",
    remedy: "Stop every gateway on the lake, then run the command again.",
  },
  PARQUET_FAILED: {
    meaning: "The database engine could not write or read a Parquet file.",
    retry: "yes",
    remedy:
      "Nothing, if the error passes. If the engine runs out of memory, raise `tables.memoryLimitBytes` or lower `consumer.maxBatchBytes`.",
  },
  TOPIC_CONFLICT: {
    meaning: "The lake already holds another definition for this version of the topic.",
    retry: "no",
    remedy:
      "Let only gateways that share one registry use the lake. Restart the gateway: it then uses the definition in the lake.",
  },
  TABLE_CONFLICT: {
    meaning:
      "Another writer changed the table, and new rows no longer fit. The table is parked; its rows wait in the commit log.",
    retry: "depends",
    remedy:
      "Run the command that `tidegate status` names for the table. docs/operating/other-writers.md lists what other writers may do.",
  },
  TABLE_APPEND_ONLY: {
    meaning:
      "Another writer set the table's property `delta.appendOnly`, and the topic has a retention. No row is removed; new rows are filed.",
    retry: "depends",
    remedy:
      "Run the command that `tidegate status` names for the table, or end the retention: `tidegate topics update TOPIC --retain forever`. For `_quarantine`, unset `tables.quarantineRetentionMs` and restart the gateway.",
  },
  ROWS_UNDATED: {
    meaning:
      "Files of `_quarantine` have no statistics of `ingest_time`, so the retention can't tell when their rows came. These files stay; others are removed.",
    retry: "depends",
    remedy:
      "Let the writer that made the files write them again with statistics, or unset `tables.quarantineRetentionMs` and restart the gateway.",
  },
  CLOCKS_DIFFER: {
    meaning:
      "The clocks of the gateway and of the lake's store differ by more than an hour. Until they agree, retention removes no rows.",
    retry: "yes",
    remedy: "Correct the clock that is wrong. Retention goes on by itself.",
  },
  TABLE_BEHIND: {
    meaning: "The table can be published again and catches up with the commit log.",
    retry: "yes",
    remedy: "Nothing: the table resumes by itself.",
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
