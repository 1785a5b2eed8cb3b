import { CodedError } from "./protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const deviceErrorCodes = [
  // what the caller gave: options of the client; topic, payload or event time of a message
  "OPTIONS_INVALID",
  "MESSAGE_INVALID",
  // outbox: its folder can't be used or was written by a newer version; another process has it open; `maxBytes` is used up; more
  // publishes wait for the disk than memory should hold; the disk is full, nothing was kept; the disk failed, open the outbox again
  "OUTBOX_OPEN_FAILED",
  "OUTBOX_LOCKED",
  "OUTBOX_FULL",
  "OUTBOX_BUSY",
  "OUTBOX_WRITE_FAILED",
  "OUTBOX_FAILED",
  // outcome of a message: given up for newer ones (`drop-oldest`); the gateway closed the connection on it again and again; lost on disk
  "MESSAGE_DROPPED",
  "MESSAGE_REJECTED",
  "MESSAGE_DAMAGED",
  // connection: the client was closed; CONNACK refused it; it ended; no acknowledgement came
  "CLIENT_CLOSED",
  "CONNECT_REFUSED",
  "CONNECTION_LOST",
  "ACK_TIMEOUT",
  // commands: the broker refused the subscription; a handler threw
  "SUBSCRIBE_REFUSED",
  "HANDLER_FAILED",
] as const;

export type DeviceErrorCode = (typeof deviceErrorCodes)[number];

export class DeviceError extends CodedError<DeviceErrorCode> {}
