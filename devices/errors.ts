import { CodedError } from "./protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const deviceErrorCodes = [] as const;

export type DeviceErrorCode = (typeof deviceErrorCodes)[number];

export class DeviceError extends CodedError<DeviceErrorCode> {}
