import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const gatewayErrorCodes = [
  /** Configuration or its sources are wrong; the message lists every fault. Exit code 2. */
  "CONFIG_INVALID",
  // A consumer that answers took no step of its work for too long; the next process begins where it stood.
  "CONSUMER_STUCK",
  /** Wrong arguments of a command. Exit code 2. */
  "USAGE_INVALID",
  /** Another gateway runs on this data folder. */
  "DATA_FOLDER_LOCKED",
  /** The data folder is a copy, and would share with its original what one gateway alone may use. */
  "FOLDER_COPIED",
  /** The lake is filled by the embedded stream of another data folder. */
  "LAKE_OF_ANOTHER",
  /** The data folder can't be created, read or written. */
  "DATA_FOLDER_UNUSABLE",
  /** The data folder's disk has no room for a change of the registry; the same call works once it has. */
  "DISK_FULL",
  /** The HTTP address can't be listened on. */
  "HTTP_ADDRESS_UNUSABLE",
  /** A child process ended, or can't start, before the gateway was ready. */
  "CHILD_FAILED",
  /** A child process doesn't run or didn't answer in time; the same call may work in a moment. */
  "CHILD_UNREACHABLE",
  /** Another gateway runs the process that this is for. */
  "ROLE_ELSEWHERE",
  /** No gateway answers where one was expected. */
  "GATEWAY_NOT_RUNNING",
  /** The request is for the gateway of another data folder. */
  "GATEWAY_OTHER",
  /** The bearer token is missing or wrong. */
  "TOKEN_REFUSED",
  /** The gateway's answer to an API call can't be understood. */
  "API_ANSWER_INVALID",
  /** A request's path, query or body is wrong. */
  "REQUEST_INVALID",
  /** The request's body is larger than `http.bodyMaxBytes`. */
  "REQUEST_TOO_LARGE",
  /** There is no such route. */
  "ROUTE_UNKNOWN",
  /** A fault of ours; the log says more. */
  "INTERNAL_ERROR",
  /** A topic's definition is wrong in itself. */
  "TOPIC_INVALID",
  /** A live topic has this name and another definition. */
  "TOPIC_EXISTS",
  /** Some topic names would match this filter and another topic's, none being more specific. */
  "TOPIC_AMBIGUOUS",
  /** There is no such topic. */
  "TOPIC_UNKNOWN",
  /** The new version's columns don't fit the topic's table. */
  "TOPIC_INCOMPATIBLE",
  /** A table can't be removed safely. */
  "TOPIC_PURGE_UNSAFE",
  /** A device's definition is wrong in itself. */
  "DEVICE_INVALID",
  /** An identity has this name. */
  "DEVICE_EXISTS",
  /** There is no such identity. */
  "DEVICE_UNKNOWN",
  /** There is no such quarantined message. */
  "QUARANTINE_UNKNOWN",
  /** The stream fits the lake: a new one would give up messages for nothing. */
  "STREAM_IN_ORDER",
  /** The registry was written by a newer Tidegate. */
  "REGISTRY_VERSION",
  /** Other admins change the registry all the time; the same call may work in a moment. */
  "REGISTRY_BUSY",
  /** The registry's Redis does not hold the registry any more: it was emptied or replaced. */
  "REGISTRY_LOST",
  /** This Redis and prefix belong to gateways with another lake. */
  "REGISTRY_LAKE",
  /** The registry and the lake tell different stories about the same topic. */
  "REGISTRY_CONFLICT",
  /** `migrate`: there is no stream to migrate, or it was migrated before. */
  "MIGRATE_NOTHING",
  /** `migrate`: gateways still run on the stream. */
  "MIGRATE_IN_USE",
  /** `migrate`: the new registry knows an identity of the same name with another secret or rights. */
  "MIGRATE_CONFLICT",
  /** `migrate`: some of the stream can't be filed. */
  "STREAM_NOT_DRAINED",
  /** The data folder holds an embedded stream, and the gateway is to run on another one. */
  "STREAM_NOT_MIGRATED",
  /** `prove`: a server of its own did not start. */
  "PROVE_SERVER_FAILED",
  /** `prove`: the gateway under test did not start or recover. */
  "PROVE_GATEWAY_FAILED",
  /** `prove`: the audit gave no answer. */
  "PROVE_AUDIT_FAILED",
] as const;

export type GatewayErrorCode = (typeof gatewayErrorCodes)[number];

export class GatewayError extends CodedError<GatewayErrorCode> {}
