import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const simulatorErrorCodes = [] as const;

export type SimulatorErrorCode = (typeof simulatorErrorCodes)[number];

export class SimulatorError extends CodedError<SimulatorErrorCode> {}
