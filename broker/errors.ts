import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const brokerErrorCodes = [] as const;

export type BrokerErrorCode = (typeof brokerErrorCodes)[number];

export class BrokerError extends CodedError<BrokerErrorCode> {}
