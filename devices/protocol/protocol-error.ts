import { CodedError } from "./coded-error.ts";

/**
 * Every code that devices/protocol raises. None is retryable.
 * - FILTER_INVALID: not a topic filter of MQTT 3.1.1 with named levels; the message names the clause.
 * - ENVELOPE_INVALID: bytes that are no telemetry envelope, or values that can't be written as one.
 * - MESSAGE_ID_INVALID: not the SDK's 16-byte id of epoch and sequence.
 */
export const protocolErrorCodes = ["FILTER_INVALID", "ENVELOPE_INVALID", "MESSAGE_ID_INVALID"] as const;

export type ProtocolErrorCode = (typeof protocolErrorCodes)[number];

export class ProtocolError extends CodedError<ProtocolErrorCode> {}
