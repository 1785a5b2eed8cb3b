import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** `tidegate migrate`. */
export const toolErrors = {
  MIGRATE_NOTHING: {
    meaning: "There is no stream to migrate, or it was migrated before.",
    retry: "no",
    remedy: "Name the stream to leave with `--data` or `--from`.",
  },
  MIGRATE_IN_USE: {
    meaning: "Gateways still run on the stream that is to be migrated.",
    retry: "yes",
    remedy: "Stop the gateways that the message names, then migrate again.",
  },
  MIGRATE_CONFLICT: {
    meaning: "The new place holds another identity of the same name, or a stream of another lake.",
    retry: "no",
    remedy: "Remove one of the two, or choose a prefix of your own (`?prefix=NAME`), then migrate again.",
  },
  STREAM_NOT_DRAINED: {
    meaning: "Some messages of the old stream can't be filed, so the migration stopped.",
    retry: "no",
    remedy: "Start the gateway on the old stream, resolve what `tidegate status` names, then migrate again.",
  },
  STREAM_NOT_MIGRATED: {
    meaning: "The data folder holds an embedded stream, and the settings name another stream.",
    retry: "no",
    remedy: "Move the stream with `tidegate migrate`, or start with another data folder.",
  },
} as const satisfies Record<string, ErrorEntry>;
