import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const bridgeErrorCodes = [] as const;

export type BridgeErrorCode = (typeof bridgeErrorCodes)[number];

export class BridgeError extends CodedError<BridgeErrorCode> {}
