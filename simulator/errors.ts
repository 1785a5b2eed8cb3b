import { CodedError } from "../devices/protocol/coded-error.ts";
import type { ErrorEntry } from "../devices/protocol/error-entry.ts";

/** Every code that this folder raises. */
export const simulatorErrors = {
  USAGE: {
    meaning: "The command or option does not exist in `simulate`, `audit` or `prove`.",
    retry: "no",
    remedy: "Correct the command line as the message says. `--help` lists the options.",
  },
  UNEXPECTED: {
    meaning: "An internal fault of `simulate`, `audit` or `prove`.",
    retry: "no",
    remedy: "Report the stack on stderr with the version.",
  },
  SIMULATE_USAGE: {
    meaning: "The options can't be run together, or this machine can't run them.",
    retry: "no",
    remedy: "Correct the options. The message names each one and a correct form.",
  },
  SIMULATE_UNREACHABLE: {
    meaning: "No connection could be made within the time to connect.",
    retry: "yes",
    remedy: "Start the gateway with `tidegate up`, or name its address with `--mqtt`.",
  },
  SIMULATE_REFUSED: {
    meaning: "The gateway answers, but refuses every connection or every message.",
    retry: "no",
    remedy:
      "Check that a topic accepts `--topic`, `--qos` and `--payload-bytes` (`tidegate topics list`), and read the gateway's log.",
  },
  SIMULATE_API: {
    meaning: "The gateway's HTTP API refused a call that the run needs.",
    retry: "no",
    remedy: "Check `--api` and `--token-file`. The message holds the answer.",
  },
  LEDGER_EXISTS: {
    meaning: "The ledger folder already holds a run.",
    retry: "no",
    remedy: "Name a new folder, or add this run to it with `--append`.",
  },
  LEDGER_MISSING: {
    meaning: "The ledger folder holds no run.",
    retry: "no",
    remedy:
      "Name the folder that was given to `simulate --ledger`. A run that never connected leaves no ledger.",
  },
  LEDGER_UNREADABLE: {
    meaning: "Another version wrote the ledger, or the file is not a ledger.",
    retry: "no",
    remedy: "Audit with the version that ran the simulation.",
  },
  LEDGER_DAMAGED: {
    meaning: "An entry in the middle of the ledger fails its checksum.",
    retry: "no",
    remedy: "Run the simulation again with a new `--ledger`: a damaged ledger proves nothing.",
  },
  LEDGER_WRITE_FAILED: {
    meaning: "The ledger can't be written. The run stopped, because an audit would be impossible.",
    retry: "no",
    remedy: "Free disk space or choose another folder, then run the simulation again.",
  },
  AUDIT_USAGE: {
    meaning: "The options of the audit can't be run.",
    retry: "no",
    remedy: "Correct the options. The message names each one and a correct form.",
  },
  AUDIT_LAKE_UNSUPPORTED: {
    meaning: "A newer Tidegate wrote the lake. What its tables mean may have changed.",
    retry: "no",
    remedy: "Use `tidegate audit` of the version that wrote the lake.",
  },
  AUDIT_LOG_BROKEN: {
    meaning: "The Delta log of a table has a gap, or an entry that can't be read.",
    retry: "no",
    remedy: "Restore the file that the message names from a copy, then audit again.",
  },
  AUDIT_TABLE_UNSUPPORTED: {
    meaning: "The table needs a newer Delta reader version than the audit has.",
    retry: "no",
    remedy:
      "Undo the change that raised the reader version (docs/operating/other-writers.md), then audit again.",
  },
  AUDIT_LAKE_UNREACHABLE: {
    meaning: "The bucket can't be listed or read.",
    retry: "yes",
    remedy: "Check endpoint and region in `--lake`, and the AWS credentials of the environment.",
  },
  AUDIT_FILE_UNREADABLE: {
    meaning: "A table or a commit names a file that is missing or damaged.",
    retry: "yes",
    remedy: "Restore the file from a copy. If the audit fails again, the failure is a finding.",
  },
  PROVE_USAGE: {
    meaning: "The options of the proof can't be run.",
    retry: "no",
    remedy: "Correct the options. The message names each one and a correct form.",
  },
  PROVE_NEEDS_CHECKOUT: {
    meaning: "`prove`: the installed package does not hold the Kinesis and S3 servers that a proof starts.",
    retry: "no",
    remedy:
      "Run the proof from a checkout of Tidegate, or name a running server with `--stream` or `--lake`.",
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

export type SimulatorErrorCode = keyof typeof simulatorErrors;

export class SimulatorError extends CodedError<SimulatorErrorCode> {}
