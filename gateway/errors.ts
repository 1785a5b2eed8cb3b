import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const gatewayErrorCodes = [] as const;

export type GatewayErrorCode = (typeof gatewayErrorCodes)[number];

export class GatewayError extends CodedError<GatewayErrorCode> {}
