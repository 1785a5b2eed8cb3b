import { CodedError } from "./coded-error.ts";
import type { ErrorEntry } from "./error-entry.ts";

/** Every code that devices/protocol raises. */
export const protocolErrors = {
  FILTER_INVALID: {
    meaning: "The text is not an MQTT 3.1.1 topic filter with named levels.",
    retry: "no",
    remedy: "Correct the filter. The message names the clause of the standard and the level.",
  },
  ENVELOPE_INVALID: {
    meaning: "The bytes are not a telemetry envelope, or the values can't be written as one.",
    retry: "no",
    remedy: "Build envelopes with the SDK or from devices/protocol/telemetry-envelope.proto.",
  },
  MESSAGE_ID_INVALID: {
    meaning: "The bytes are not an id of the SDK: 16 bytes of epoch and sequence.",
    retry: "no",
    remedy: "Pass an id that the SDK made.",
  },
} as const satisfies Record<string, ErrorEntry>;

export type ProtocolErrorCode = keyof typeof protocolErrors;

export class ProtocolError extends CodedError<ProtocolErrorCode> {}
