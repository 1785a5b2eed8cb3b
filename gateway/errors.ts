import { CodedError } from "../devices/protocol/coded-error.ts";
import type { ErrorEntry } from "../devices/protocol/error-entry.ts";
import { registryErrors } from "./errors/registry-errors.ts";
import { toolErrors } from "./errors/tool-errors.ts";

/** All codes that this folder raises. */
export const gatewayErrors = {
  CONFIG_INVALID: {
    meaning: "The configuration, or one of its sources, is wrong.",
    retry: "no",
    remedy:
      "Correct every fault that the message lists. `tidegate config check` lists them without starting a gateway.",
  },
  USAGE_INVALID: {
    meaning: "The arguments of the command are wrong.",
    retry: "no",
    remedy: "Correct the command as the message says. `--help` after the command shows its options.",
  },
  DATA_FOLDER_LOCKED: {
    meaning: "Another gateway runs on this data folder, or a process of an earlier gateway does not end.",
    retry: "depends",
    remedy: "Stop the process that the message names, or choose another folder with `--data`.",
  },
  FOLDER_COPIED: {
    meaning:
      "The data folder is a copy, and would share data with its original that only one gateway may use.",
    retry: "no",
    remedy:
      "Use the original, or give the copy a stream and a lake of its own. If the original no longer exists, remove `processes.json` from the folder.",
  },
  LAKE_OF_ANOTHER: {
    meaning: "This lake belongs to the embedded stream of another data folder.",
    retry: "no",
    remedy: "Name the folder of that gateway with `--data`, or another lake with `--lake`.",
  },
  DATA_FOLDER_UNUSABLE: {
    meaning: "The data folder can't be created, read or written, or other hosts may mount it.",
    retry: "no",
    remedy:
      "Name a folder on a disk of this machine with `--data`. This user must be able to write to the folder.",
  },
  DISK_FULL: {
    meaning:
      "The disk of the data folder is too full for a change of topics or identities. The change was not made.",
    retry: "yes",
    remedy: "Free disk space, then run the command again.",
  },
  HTTP_ADDRESS_UNUSABLE: {
    meaning: "The HTTP API can't listen on its address.",
    retry: "no",
    remedy: "Stop the program that listens there, or choose another address with `--http HOST:PORT`.",
  },
  CHILD_FAILED: {
    meaning: "The broker or the consumer can't start. The message holds its code and reason.",
    retry: "no",
    remedy: "Look up the code that the message names.",
  },
  CONSUMER_STUCK: {
    meaning:
      "The consumer answered, but no call to lake or window ended for `supervision.stuckMs`. The process ends, and the next one resumes at the last commit.",
    retry: "yes",
    remedy:
      "Check the disk, server or network of the calls that the message names. Acknowledged messages stay in the stream meanwhile.",
  },
  UPKEEP_STUCK: {
    meaning:
      "The upkeep answered, but none of its calls to the lake ended for `supervision.stuckMs`. The process ends, and the next one repeats the work.",
    retry: "yes",
    remedy:
      "Check the disk, server or network of the calls that the message names. Acknowledgements and filing go on meanwhile.",
  },
  CHILD_UNREACHABLE: {
    meaning: "The broker or the consumer is not running, is not ready, or did not answer in time.",
    retry: "yes",
    remedy:
      "Retry in a moment. If this persists, `tidegate status` and the log say what the process waits for.",
  },
  ROLE_ELSEWHERE: {
    meaning: "This gateway does not run the process that the request is for (setting `roles`).",
    retry: "no",
    remedy: "Send the request to a gateway that runs the process.",
  },
  GATEWAY_NOT_RUNNING: {
    meaning: "No gateway answers at the address of the command.",
    retry: "depends",
    remedy:
      "Start the gateway with `tidegate up`, or name its folder with `--data` or its address with TIDEGATE_API.",
  },
  GATEWAY_OTHER: {
    meaning: "The request is for the gateway of another data folder.",
    retry: "no",
    remedy: "Send the request to the gateway of that folder, or start that gateway with `tidegate up`.",
  },
  TOKEN_REFUSED: {
    meaning: "The bearer token is missing or wrong, or can't be read.",
    retry: "no",
    remedy:
      "Send the token in `api-token` of the data folder. For commands, set TIDEGATE_TOKEN or run as the gateway's user.",
  },
  API_ANSWER_INVALID: {
    meaning: "The server that answered the command is not a Tidegate gateway.",
    retry: "no",
    remedy: "Correct TIDEGATE_API, or check for a proxy between command and gateway.",
  },
  REQUEST_INVALID: {
    meaning: "The path, query or body of a request is wrong.",
    retry: "no",
    remedy: "Correct the part that the message names. `/openapi.json` describes every request.",
  },
  REQUEST_TOO_LARGE: {
    meaning: "The body of the request is larger than `http.bodyMaxBytes`.",
    retry: "no",
    remedy: "Send a smaller body, or raise `http.bodyMaxBytes`.",
  },
  ROUTE_UNKNOWN: {
    meaning: "The HTTP API has no such path.",
    retry: "no",
    remedy: "Correct method and path. `/openapi.json` lists them.",
  },
  INTERNAL_ERROR: {
    meaning: "Tidegate has a fault.",
    retry: "depends",
    remedy: "The log has the stack. Report it with the version.",
  },
  QUARANTINE_UNKNOWN: {
    meaning: "There is no quarantined message with this id.",
    retry: "no",
    remedy: "Take the id from `tidegate quarantine list`.",
  },
  STREAM_IN_ORDER: {
    meaning: "The stream fits the lake, so `stream new` would discard messages without need.",
    retry: "no",
    remedy: "Start the gateway. To replace the stream all the same, add `--force`.",
  },
  ...registryErrors,
  ...toolErrors,
} as const satisfies Record<string, ErrorEntry>;

export type GatewayErrorCode = keyof typeof gatewayErrors;

export class GatewayError extends CodedError<GatewayErrorCode> {}
