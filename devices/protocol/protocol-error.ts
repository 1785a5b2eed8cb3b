import { CodedError } from "./coded-error.ts";

/** Every code that devices/protocol raises. */
export const protocolErrorCodes = [] as const;

export type ProtocolErrorCode = (typeof protocolErrorCodes)[number];

export class ProtocolError extends CodedError<ProtocolErrorCode> {}
