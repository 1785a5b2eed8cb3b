import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** `tidegate migrate` and `tidegate prove`. */
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
    meaning: "Some of the old stream can't be filed, so it was not left.",
    retry: "no",
    remedy: "Start the gateway on the old stream, resolve what `tidegate status` names, then migrate again.",
  },
  STREAM_NOT_MIGRATED: {
    meaning: "The data folder holds an embedded stream, and the gateway was told to run on another one.",
    retry: "no",
    remedy: "Take it along with `tidegate migrate`, or start with another data folder.",
  },
  PROVE_SERVER_FAILED: {
    meaning: "`prove`: a server that it needs is not installed or did not start.",
    retry: "no",
    remedy: "Install the program that the message names, or name a running server.",
  },
  PROVE_GATEWAY_FAILED: {
    meaning: "`prove`: the gateway under test did not start or recover.",
    retry: "no",
    remedy: "Read the log that the message names. Report it with the seed.",
  },
  PROVE_AUDIT_FAILED: {
    meaning: "`prove`: the audit gave no answer.",
    retry: "no",
    remedy: "Read `audit.log` in the proof's folder.",
  },
} as const satisfies Record<string, ErrorEntry>;
