import { CodedError } from "../devices/protocol/coded-error.ts";

/**
 * Every code that this folder raises, with what it means. Retryable are SIMULATE_UNREACHABLE, AUDIT_LAKE_UNREACHABLE and AUDIT_FILE_UNREADABLE.
 * - SIMULATE_USAGE: options that cannot be run; the message says what, where and how to mend it.
 * - SIMULATE_UNREACHABLE: no connection could be made within the time to connect.
 * - SIMULATE_REFUSED: the gateway answers, and refuses every connection or every message.
 * - SIMULATE_API: the gateway's HTTP API did not do what the run needs.
 * - LEDGER_EXISTS: the ledger folder holds a run already.
 * - LEDGER_MISSING: there is no run in the folder.
 * - LEDGER_UNREADABLE: the ledger was written by another version, or its head is no ledger's.
 * - LEDGER_DAMAGED: an entry in the middle of the ledger fails its checksum.
 * - LEDGER_WRITE_FAILED: the ledger could not be written; the run stops, since it could not be audited.
 * - AUDIT_USAGE: options that cannot be run.
 * - AUDIT_LAKE_UNSUPPORTED: the lake was written by a newer Tidegate; what its tables mean may have changed.
 * - AUDIT_LOG_BROKEN: a table's Delta log has a hole or an entry that cannot be read.
 * - AUDIT_TABLE_UNSUPPORTED: a table needs a newer Delta reader than the audit has.
 * - AUDIT_LAKE_UNREACHABLE: the bucket can't be listed or read.
 * - AUDIT_FILE_UNREADABLE: a table names a data file that is missing or damaged.
 */
export const simulatorErrorCodes = [
  "SIMULATE_USAGE",
  "SIMULATE_UNREACHABLE",
  "SIMULATE_REFUSED",
  "SIMULATE_API",
  "LEDGER_EXISTS",
  "LEDGER_MISSING",
  "LEDGER_UNREADABLE",
  "LEDGER_DAMAGED",
  "LEDGER_WRITE_FAILED",
  "AUDIT_USAGE",
  "AUDIT_LAKE_UNSUPPORTED",
  "AUDIT_LOG_BROKEN",
  "AUDIT_TABLE_UNSUPPORTED",
  "AUDIT_LAKE_UNREACHABLE",
  "AUDIT_FILE_UNREADABLE",
] as const;

export type SimulatorErrorCode = (typeof simulatorErrorCodes)[number];

export class SimulatorError extends CodedError<SimulatorErrorCode> {}
